/* SPDX-License-Identifier: Apache-2.0 */
/* See webhook_url.h. Called when a webhook is made and by api/sender.c. */
#include "domain/webhook_url.h"

#include "domain/webhook.h"

static const char plain_scheme[] = "http://", tls_scheme[] = "https://";

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
}

/* Only what an address in brackets consists of; the connect checks the rest. */
static bool is_ipv6(struct str host)
{
    if (host.len < 4 || host.at[0] != '[' || host.at[host.len - 1] != ']')
        return false;
    for (size_t i = 1; i + 1 < host.len; i++)
        if (strchr("0123456789abcdefABCDEF:.", host.at[i]) == NULL || host.at[i] == '\0')
            return false;
    return true;
}

static bool is_name(struct str host)
{
    for (size_t i = 0; i < host.len; i++)
        if (!is_name_byte(host.at[i]))
            return false;
    return host.len > 0 && host.len <= WEBHOOK_HOST_MAX && host.at[0] != '-';
}

static bool split(struct str authority, struct webhook_url *out)
{
    struct str rest = {0};
    ssize_t bracket = str_find(authority, ']');
    uint64_t port = out->is_tls ? 443 : 80;

    out->authority = authority;
    if (bracket >= 0) {
        out->host = str_upto(authority, (size_t)bracket + 1);
        rest = str_from(authority, (size_t)bracket + 1);
        if (rest.len > 0 && rest.at[0] != ':')
            return false;
        rest = str_from(rest, rest.len > 0);
    } else {
        out->host = str_cut(authority, ':', &rest);
    }
    if (out->host.len + rest.len < authority.len &&
        (!str_to_u64(rest, &port) || port == 0 || port > UINT16_MAX))
        return false;
    out->port = (uint16_t)port;
    return is_name(out->host) || is_ipv6(out->host);
}

int webhook_url_parse(struct str url, struct webhook_url *out, struct err *err)
{
    struct webhook_url u = {.target = STR("/")};
    size_t begin, end;

    if (url.len > WEBHOOK_URL_MAX)
        return err_set(err, ERR_INVALID, "url is longer than %d characters", WEBHOOK_URL_MAX);
    u.is_tls = str_has_prefix(url, tls_scheme);
    if (!u.is_tls && !str_has_prefix(url, plain_scheme))
        return err_set(err, ERR_INVALID, "url must begin with http:// or https://");
    begin = end = (u.is_tls ? sizeof(tls_scheme) : sizeof(plain_scheme)) - 1;
    for (size_t i = 0; i < url.len; i++)
        if (url.at[i] <= ' ' || url.at[i] >= 0x7f || url.at[i] == '#')
            return err_set(err, ERR_INVALID, "url has a character that must be percent-encoded");
    while (end < url.len && url.at[end] != '/' && url.at[end] != '?')
        end++;
    if (!split(str_from(str_upto(url, end), begin), &u))
        return err_set(err, ERR_INVALID, "url has no valid host and port");
    if (end < url.len && url.at[end] == '?')
        return err_set(err, ERR_INVALID, "url needs a path before its query");
    if (end < url.len)
        u.target = str_from(url, end);
    *out = u;
    return 0;
}

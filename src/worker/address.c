/* SPDX-License-Identifier: Apache-2.0 */
/* See address.h. */
#include "worker/address.h"

#include <stdio.h>

static const char *const schemes[][2] = {
    [ADDRESS_HTTP] = {"http://", "https://"},
    [ADDRESS_WS] = {"ws://",   "wss://"  },
};

static bool is_host_byte(char c, bool is_literal)
{
    if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == '.')
        return true;
    if (is_literal)
        return c == ':';
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static bool is_host(struct str host)
{
    bool is_literal = host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    struct str inner = is_literal ? (struct str){host.at + 1, host.len - 2} : host;

    for (size_t i = 0; i < inner.len; i++)
        if (!is_host_byte(inner.at[i], is_literal))
            return false;
    return inner.len > 0 && host.len <= ADDRESS_HOST_MAX && inner.at[0] != '-';
}

static bool is_path(struct str path)
{
    for (size_t i = 0; i < path.len; i++)
        if (path.at[i] <= ' ' || path.at[i] >= 0x7f || strchr("?#\\", path.at[i]) != NULL)
            return false;
    return path.len <= ADDRESS_PATH_MAX;
}

bool address_set_host(struct address *a, struct str host)
{
    bool is_usual = a->port == (a->is_tls ? 443 : 80);

    if (!is_host(host) || !str_to_c(host, a->host, sizeof(a->host)))
        return false;
    if (is_usual)
        ignore(snprintf(a->authority, sizeof(a->authority), "%s", a->host));
    else
        ignore(snprintf(a->authority, sizeof(a->authority), "%s:%u", a->host, a->port));
    return true;
}

static bool split(struct str authority, struct address *a, struct str *out_host)
{
    ssize_t bracket = str_find(authority, ']');
    struct str rest = {0}, port_text = {0};
    uint64_t port = a->is_tls ? 443 : 80;

    if (bracket >= 0) {
        *out_host = str_upto(authority, (size_t)bracket + 1);
        rest = str_from(authority, (size_t)bracket + 1);
        if (rest.len > 0 && rest.at[0] != ':')
            return false;
        port_text = str_from(rest, rest.len > 0);
    } else {
        *out_host = str_cut(authority, ':', &port_text);
        rest = str_from(authority, out_host->len);
    }
    if (rest.len > 0 && (!str_to_u64(port_text, &port) || port == 0 || port > UINT16_MAX))
        return false;
    a->port = (uint16_t)port;
    return true;
}

int address_parse(struct str url, enum address_kind kind, struct address *out, struct err *err)
{
    struct address a = {0};
    struct str authority, path, host;
    ssize_t slash;

    a.is_tls = str_has_prefix(url, schemes[kind][1]);
    if (!a.is_tls && !str_has_prefix(url, schemes[kind][0]))
        return err_set(err, ERR_INVALID, "'%.*s' does not begin with %s or %s",
                       STR_ARG(str_upto(url, 100)), schemes[kind][0], schemes[kind][1]);
    authority = str_from(url, strlen(schemes[kind][a.is_tls]));
    slash = str_find(authority, '/');
    path = slash < 0 ? (struct str){0} : str_from(authority, (size_t)slash);
    if (slash >= 0)
        authority = str_upto(authority, (size_t)slash);
    while (path.len > 0 && path.at[path.len - 1] == '/')
        path.len--;
    if (!is_path(path) || !split(authority, &a, &host) || !address_set_host(&a, host))
        return err_set(err, ERR_INVALID, "'%.*s' is no URL that can be used",
                       STR_ARG(str_upto(url, 100)));
    ignore(str_to_c(path, a.path, sizeof(a.path))); /* checked */
    *out = a;
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See probe.h. */
#include "build/probe.h"

#include <string.h>

static const char scheme[] = "http://";

static bool ends_url(char c)
{
    unsigned char byte = (unsigned char)c;

    return byte <= ' ' || byte >= 0x7f || c == '"' || c == '\'' || c == '`' || c == ')' ||
           c == ';' || c == '|' || c == '&' || c == '>' || c == '<' || c == '\\';
}

/* The host at the front, brackets of IPv6 included; its rest begins with ':', '/', '?' or ends. */
static struct str cut_host(struct str url, struct str *rest)
{
    size_t len = 0;

    if (url.len > 0 && url.at[0] == '[') {
        ssize_t close = str_find(url, ']');

        len = close < 0 ? url.len : (size_t)close + 1;
    } else {
        while (len < url.len && strchr(":/?#", url.at[len]) == NULL)
            len++;
    }
    *rest = str_from(url, len);
    return str_upto(url, len);
}

static bool is_local(struct str host)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "0.0.0.0", "[::1]"};

    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        if (str_ieq(host, str_of(hosts[i])))
            return true;
    return false;
}

/* "::1:8080" is written by people, too. */
static bool cut_bare_ipv6(struct str *url)
{
    if (!str_has_prefix(*url, "::1:"))
        return false;
    *url = str_from(*url, 3);
    return true;
}

static bool parse(struct str url, struct probe *out)
{
    struct str rest = url, digits, path;
    uint64_t port = 0;
    size_t len = 0;

    if (!cut_bare_ipv6(&rest) && !is_local(cut_host(url, &rest)))
        return false;
    if (rest.len == 0 || rest.at[0] != ':')
        return false;
    rest = str_from(rest, 1);
    while (len < rest.len && rest.at[len] >= '0' && rest.at[len] <= '9')
        len++;
    digits = str_upto(rest, len);
    rest = str_from(rest, len);
    if (!str_to_u64(digits, &port) || port == 0 || port > UINT16_MAX ||
        (rest.len > 0 && strchr("/?#", rest.at[0]) == NULL))
        return false;
    for (len = 0; len < rest.len && rest.at[len] != '?' && rest.at[len] != '#'; len++)
        ;
    path = len == 0 ? STR("/") : str_upto(rest, len);
    if (!str_to_c(path, out->path, sizeof(out->path)))
        return false;
    out->port = (uint16_t)port;
    return true;
}

static struct str url_at(struct str text, size_t at)
{
    size_t end = at;

    while (end < text.len && !ends_url(text.at[end]))
        end++;
    return str_upto(str_from(text, at), end - at);
}

bool probe_find(struct str text, struct probe *out)
{
    for (size_t i = 0; i + sizeof(scheme) - 1 <= text.len; i++)
        if (memcmp(text.at + i, scheme, sizeof(scheme) - 1) == 0 &&
            parse(url_at(text, i + sizeof(scheme) - 1), out))
            return true;
    return false;
}

bool probe_is_url(struct str text)
{
    struct str t = str_trim(text);

    return (str_has_prefix(t, scheme) || str_has_prefix(t, "https://")) &&
           url_at(t, 0).len == t.len;
}

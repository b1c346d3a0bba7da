/* SPDX-License-Identifier: Apache-2.0 */
/* See asked_name.h. */
#include "http/asked_name.h"

#include "http/client_hello.h"
#include "http/head.h"

enum {
    TLS_FIRST_BYTE = 22,
};

static enum asked read_tls(struct str in, char *out, const char **why)
{
    static const struct {
        enum asked asked;
        const char *why;
    } rows[] = {
        [CLIENT_HELLO_MORE] = {ASKED_MORE,    NULL                               },
        [CLIENT_HELLO_NAME] = {ASKED_NAME,    NULL                               },
        [CLIENT_HELLO_NAMELESS] = {ASKED_REFUSED, "TLS without a server name"        },
        [CLIENT_HELLO_ENCRYPTED] = {ASKED_REFUSED, "TLS with an encrypted server name"},
        [CLIENT_HELLO_BAD] = {ASKED_REFUSED, "broken TLS"                       },
    };
    enum client_hello result = client_hello_read(in, out);

    *why = rows[result].why;
    return rows[result].asked;
}

static enum asked read_http(struct str in, char *out, const char **why)
{
    struct http_head head;
    const char *text = NULL;
    int len;

    /* A method is capital letters; what begins otherwise is not waited for. */
    if (in.at[0] < 'A' || in.at[0] > 'Z') {
        *why = "neither TLS nor HTTP";
        return ASKED_REFUSED;
    }
    len = http_parse_request(in, &head, &text);
    if (len == 0)
        return ASKED_MORE;
    if (len < 0 || !host_name_is_good(head.host)) {
        *why = len < 0 ? text : "HTTP without the name of a host";
        return ASKED_REFUSED;
    }
    memcpy(out, head.host.at, head.host.len);
    out[head.host.len] = '\0';
    return ASKED_NAME;
}

enum asked asked_name_read(struct str in, char out_name[HOST_NAME_MAX_LEN + 1], const char **why)
{
    enum asked result;

    if (in.len == 0)
        return ASKED_MORE;
    if (in.at[0] == TLS_FIRST_BYTE)
        result = read_tls(in, out_name, why);
    else
        result = read_http(in, out_name, why);
    if (result == ASKED_MORE && in.len >= ASKED_NAME_BYTES_MAX) {
        *why = "too much before a name";
        return ASKED_REFUSED;
    }
    return result;
}

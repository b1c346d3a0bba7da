/* SPDX-License-Identifier: Apache-2.0 */
/* From the fields of a request to the head that HTTP/1.1 has for it (RFC 9113 8.3, RFC 8441).
 * nghttp2 has refused what HTTP/2 forbids: connection fields, pseudo-fields that are repeated,
 * unknown or late, upper case, control characters. What is written here the strict parser reads. */
#include "base/digest.h"
#include "base/id.h"
#include "http/h2_internal.h"

enum {
    TEXT_MAX = HTTP_HEAD_MAX,
    KEY_BYTES = 16, /* of Sec-WebSocket-Key */
};

struct h2_request *h2_request_new(void)
{
    struct h2_request *r = mem_zero(sizeof(*r));

    buf_init(&r->text, TEXT_MAX);
    buf_init(&r->lines, TEXT_MAX);
    buf_init(&r->cookie, TEXT_MAX);
    /* slices point into it: it must not move */
    if (buf_room(&r->text, TEXT_MAX) == NULL)
        r->is_too_large = true;
    return r;
}

void h2_request_free(struct h2_request *r)
{
    if (r == NULL)
        return;
    buf_done(&r->text);
    buf_done(&r->lines);
    buf_done(&r->cookie);
    free(r);
}

static void keep(struct h2_request *r, struct str *slot, struct str value)
{
    size_t at = r->text.len;

    buf_add_str(&r->text, value);
    if (buf_ok(&r->text))
        *slot = (struct str){r->text.at + at, value.len};
}

static void add_line(struct h2_request *r, struct str name, struct str value)
{
    bool has_room = name.len + value.len + 4 <= buf_left(&r->lines);

    http_put_field(&r->lines, name, value);
    if (!buf_ok(&r->lines) && has_room)
        r->is_bad = true; /* a character that HTTP/1.1 does not have */
}

/* False: it is no pseudo-field that we know. */
static bool take_pseudo(struct h2_request *r, struct str name, struct str value)
{
    static const struct {
        const char *name;
        size_t offset;
    } pseudos[] = {
        {":method",    offsetof(struct h2_request, method)   },
        {":path",      offsetof(struct h2_request, path)     },
        {":authority", offsetof(struct h2_request, authority)},
        {":scheme",    offsetof(struct h2_request, scheme)   },
        {":protocol",  offsetof(struct h2_request, protocol) },
    };

    for (size_t i = 0; i < COUNT_OF(pseudos); i++) {
        if (str_is(name, pseudos[i].name)) {
            keep(r, (struct str *)(void *)((char *)r + pseudos[i].offset), value);
            return true;
        }
    }
    return false;
}

static void take_host(struct h2_request *r, struct str value)
{
    if (r->has_host || (r->authority.len > 0 && !str_ieq(value, r->authority)))
        r->is_bad = true; /* two answers to the question who is asked */
    r->has_host = true;
    if (r->authority.len == 0)
        keep(r, &r->authority, value);
}

void h2_request_field(struct h2_request *r, struct str name, struct str value)
{
    if (r->is_too_large)
        return;
    if (name.len > 0 && name.at[0] == ':') {
        if (!take_pseudo(r, name, value))
            r->is_bad = true;
    } else if (str_is(name, "host")) {
        take_host(r, value);
    } else if (str_is(name, "cookie")) {
        if (r->cookie.len > 0)
            buf_add_str(&r->cookie, STR("; "));
        buf_add_str(&r->cookie, value);
    } else if (str_is(name, "te") || str_is(name, "sec-websocket-key")) {
        ignore(r->is_bad); /* of this hop: made anew where it is needed */
    } else if (str_is(name, "content-length") && r->has_length) {
        r->is_bad = true;
    } else {
        r->has_length = r->has_length || str_is(name, "content-length");
        add_line(r, name, value);
    }
    r->field_count++;
    if (r->field_count > HTTP_FIELDS_MAX || !buf_ok(&r->text) || !buf_ok(&r->lines) ||
        !buf_ok(&r->cookie))
        r->is_too_large = true;
}

void h2_trailer_field(struct buf *out, struct str name, struct str value)
{
    if (name.len > 0 && name.at[0] != ':')
        http_put_field(out, name, value);
}

static void put_websocket(const struct h2_request *r, struct buf *out)
{
    unsigned char key[KEY_BYTES];

    id_random(key, sizeof(key));
    http_put_field_text(out, "Connection", "Upgrade");
    http_put_field(out, STR("Upgrade"), r->protocol);
    buf_add_text(out, "Sec-WebSocket-Key: ");
    base64_encode(out, key, sizeof(key));
    buf_add_str(out, STR("\r\n"));
}

unsigned h2_request_head(const struct h2_request *r, bool has_body, struct buf *out,
                         enum h2_framing *framing)
{
    bool is_tunnel = r->protocol.len > 0;

    if (r->is_bad)
        return 400;
    if (r->is_too_large)
        return 431;
    if (str_is(r->method, "CONNECT") != is_tunnel ||
        (is_tunnel && !str_is(r->protocol, "websocket")))
        return 501;
    if (r->path.len == 0 || (!str_is(r->scheme, "http") && !str_is(r->scheme, "https")))
        return 400;
    http_put_request_line(out, is_tunnel ? STR("GET") : r->method, r->path);
    if (r->authority.len > 0)
        http_put_field(out, STR("Host"), r->authority);
    if (r->cookie.len > 0)
        http_put_field(out, STR("Cookie"), buf_str(&r->cookie));
    buf_add_str(out, buf_str(&r->lines));
    *framing = is_tunnel ? H2_RAW : !has_body ? H2_NO_BODY : r->has_length ? H2_LENGTH : H2_CHUNKED;
    if (is_tunnel)
        put_websocket(r, out);
    else if (*framing == H2_CHUNKED)
        http_put_field_text(out, "Transfer-Encoding", "chunked");
    buf_add_str(out, STR("\r\n"));
    return buf_ok(out) ? 0 : 431;
}

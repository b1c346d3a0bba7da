/* SPDX-License-Identifier: Apache-2.0 */
/* What a head says about its body, its host and its connection (RFC 9112 section 6). The rules that
 * keep two parsers from disagreeing about where a message ends. Called by parse.c. */
#include "http/parse_internal.h"

/* What the field lines say, before it is judged. */
struct facts {
    struct str host, length, coding, expect;
    unsigned hosts, lengths, codings, expects;
    bool is_close, is_keep_alive, names_upgrade, has_upgrade;
};

static int bad(const char **why, int status, const char *text)
{
    *why = text;
    return -status;
}

bool http_list_next(struct str *rest, struct str *out_item)
{
    while (rest->len > 0) {
        *out_item = str_trim(str_cut(*rest, ',', rest));
        if (out_item->len > 0)
            return true;
    }
    return false;
}

static void note_connection(struct facts *f, struct str list)
{
    struct str item;

    while (http_list_next(&list, &item)) {
        if (str_ieq(item, STR("close")))
            f->is_close = true;
        else if (str_ieq(item, STR("keep-alive")))
            f->is_keep_alive = true;
        else if (str_ieq(item, STR("upgrade")))
            f->names_upgrade = true;
    }
}

static void note_field(struct facts *f, const struct http_field *field)
{
    struct str name = field->name;

    switch (name.len) {
    case 4:
        if (str_ieq(name, STR("host"))) {
            f->hosts++;
            f->host = field->value;
        }
        break;
    case 6:
        if (str_ieq(name, STR("expect"))) {
            f->expects++;
            f->expect = field->value;
        }
        break;
    case 7:
        if (str_ieq(name, STR("upgrade")) && field->value.len > 0)
            f->has_upgrade = true;
        break;
    case 10:
        if (str_ieq(name, STR("connection")))
            note_connection(f, field->value);
        break;
    case 14:
        if (str_ieq(name, STR("content-length"))) {
            f->lengths++;
            f->length = field->value;
        }
        break;
    case 17:
        if (str_ieq(name, STR("transfer-encoding"))) {
            f->codings++;
            f->coding = field->value;
        }
        break;
    default: break;
    }
}

static struct facts gather(const struct http_head *h)
{
    struct facts f = {0};

    for (size_t i = 0; i < h->field_count; i++)
        note_field(&f, &h->fields[i]);
    return f;
}

static int judge_framing(const struct facts *f, struct http_head *h, const char **why)
{
    if (f->codings > 0) {
        if (f->lengths > 0)
            return bad(why, 400, "Transfer-Encoding and Content-Length together");
        if (f->codings > 1)
            return bad(why, 400, "repeated Transfer-Encoding");
        if (h->minor == 0)
            return bad(why, 400, "Transfer-Encoding with HTTP/1.0");
        if (!http_all_are(f->coding, CHAR_TOKEN))
            return bad(why, 400, "malformed Transfer-Encoding");
        if (!str_ieq(f->coding, STR("chunked")))
            return bad(why, 501, "unknown transfer coding");
        h->framing = HTTP_CHUNKED;
        return 0;
    }
    if (f->lengths > 1)
        return bad(why, 400, "repeated Content-Length");
    if (f->lengths == 1) {
        if (!str_to_u64(f->length, &h->body_length) || h->body_length > INT64_MAX)
            return bad(why, 400, "malformed Content-Length");
        h->framing = HTTP_LENGTH;
    }
    return 0;
}

static bool is_address(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F') &&
            c != ':' && c != '.')
            return false;
    }
    return s.len > 1;
}

/* "name", "name:80", "[::1]:80". */
static bool split_host(struct str value, struct http_head *h)
{
    struct str rest;
    uint64_t port = 0;

    if (value.len > 0 && value.at[0] == '[') {
        struct str inner = str_cut(str_from(value, 1), ']', &rest);

        if (inner.len + 2 > value.len || !is_address(inner))
            return false;
        h->host = str_upto(value, inner.len + 2);
    } else {
        ssize_t colon = str_find(value, ':');

        h->host = colon < 0 ? value : str_upto(value, (size_t)colon);
        if (!http_all_are(h->host, CHAR_HOST))
            return false;
    }
    rest = str_from(value, h->host.len);
    if (rest.len == 0)
        return true;
    if (rest.at[0] != ':' || rest.len > 6 || !str_to_u64(str_from(rest, 1), &port) || port == 0 ||
        port > UINT16_MAX)
        return false;
    h->host_port = (uint16_t)port;
    return true;
}

static int judge_host(const struct facts *f, struct http_head *h, struct str authority,
                      const char **why)
{
    struct str value = f->hosts == 0 ? authority : f->host;

    if (f->hosts > 1)
        return bad(why, 400, "repeated Host");
    if (f->hosts == 0 && h->minor > 0)
        return bad(why, 400, "missing Host");
    if (authority.len > 0 && !str_ieq(authority, value))
        return bad(why, 400, "request target and Host differ");
    if (f->hosts == 0 && authority.len == 0)
        return 0; /* HTTP/1.0 knows no Host */
    if (!split_host(value, h))
        return bad(why, 400, "malformed Host");
    return 0;
}

int http_frame_request(struct http_head *h, struct str authority, const char **why)
{
    struct facts f = gather(h);
    int result = judge_host(&f, h, authority, why);

    if (result == 0)
        result = judge_framing(&f, h, why);
    if (result != 0)
        return result;
    if (f.expects > 0 && h->minor > 0) {
        if (f.expects > 1 || !str_ieq(f.expect, STR("100-continue")))
            return bad(why, 417, "unknown expectation");
        h->expects_continue =
            h->framing == HTTP_CHUNKED || (h->framing == HTTP_LENGTH && h->body_length > 0);
    }
    h->keep_alive = !f.is_close && (h->minor > 0 || f.is_keep_alive);
    h->is_upgrade = h->minor > 0 && f.names_upgrade && f.has_upgrade;
    return 1;
}

int http_frame_response(struct http_head *h, struct str method, const char **why)
{
    struct facts f = gather(h);
    int result = judge_framing(&f, h, why);

    if (result != 0)
        return result;
    h->keep_alive = !f.is_close && (h->minor > 0 || f.is_keep_alive);
    h->is_upgrade = h->status == 101;
    if (h->status < 200 || h->status == 204 || h->status == 304 || str_is(method, "HEAD")) {
        h->framing = HTTP_NO_BODY;
    } else if (h->framing == HTTP_NO_BODY) {
        h->framing = HTTP_UNTIL_CLOSE;
        h->keep_alive = false;
    }
    return 1;
}

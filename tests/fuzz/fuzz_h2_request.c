/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http: the fields of an HTTP/2 request, "name NUL value NUL …", as nghttp2 would tell them.
 * What is written for them is one head and no more, says what they say, or the strict parser
 * refuses it. */
#include <assert.h>
#include <stdint.h>

#include "http/h2_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct h2_request *r, struct str text, enum h2_framing framing)
{
    struct http_head h;
    const char *why = NULL;
    int n = http_parse_request(text, &h, &why);

    if (n < 0)
        return;
    assert((size_t)n == text.len);
    assert(str_eq(h.method, framing == H2_RAW ? STR("GET") : r->method));
    assert(str_eq(h.target, r->path) || str_is(h.path, "/"));
    assert(h.is_upgrade == (framing == H2_RAW));
    assert((h.framing == HTTP_CHUNKED) == (framing == H2_CHUNKED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct h2_request *r = h2_request_new();
    struct str rest = {(const char *)data, size};
    enum h2_framing framing;
    struct buf out;

    buf_init(&out, 4 * HTTP_HEAD_MAX);
    while (rest.len > 0) {
        struct str name = str_cut(rest, '\0', &rest), value = str_cut(rest, '\0', &rest);

        /* nghttp2 lets none of these pass, and http1 would take them for framing */
        if (!str_is(name, "transfer-encoding") && !str_is(name, "connection") &&
            !str_is(name, "upgrade") && !str_is(name, "keep-alive"))
            h2_request_field(r, name, value);
    }
    if (h2_request_head(r, size % 2 == 0, &out, &framing) == 0)
        check(r, buf_str(&out), framing);
    buf_done(&out);
    h2_request_free(r);
    return 0;
}

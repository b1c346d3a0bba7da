/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http: a request head. What is accepted is whole, says the same when it is written again, and
 * was not accepted earlier, when less of it was there. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "http/head.h"

enum { COPY_MAX = 64 << 10 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_slice(struct str s, struct str in)
{
    /* a literal "/" is the one exception */
    assert(s.len == 0 || str_is(s, "/") || (s.at >= in.at && s.at + s.len <= in.at + in.len));
    for (size_t i = 0; i < s.len; i++)
        assert(s.at[i] != '\r' && s.at[i] != '\n' && s.at[i] != '\0');
}

static void check_again(const struct http_head *h)
{
    struct http_head again;
    struct buf b;
    const char *why;

    buf_init(&b, COPY_MAX);
    http_put_request_line(&b, h->method, h->target);
    if (h->minor == 0 && h->host.len == 0)
        http_put_field(&b, STR("Host"), STR("added"));
    for (size_t i = 0; i < h->field_count; i++)
        http_put_field(&b, h->fields[i].name, h->fields[i].value);
    buf_add_str(&b, STR("\r\n"));
    assert(buf_ok(&b));
    if (h->minor == 1 || h->field_count < HTTP_FIELDS_MAX) {
        int n = http_parse_request(buf_str(&b), &again, &why);

        /* an expectation means nothing to HTTP/1.0, the rest means the same */
        assert(n == (int)b.len || (h->minor == 0 && n < 0));
        assert(n < 0 || (again.framing == h->framing && again.body_length == h->body_length));
        assert(n < 0 || h->minor == 0 || str_eq(again.host, h->host));
    }
    buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct http_head h;
    const char *why = NULL;
    int n = http_parse_request(in, &h, &why);

    if (n < 0) {
        assert(why != NULL && (n == -400 || n == -417 || n == -431 || n == -501 || n == -505));
        return 0;
    }
    if (n == 0) {
        assert(size < HTTP_HEAD_MAX);
        return 0;
    }
    assert((size_t)n <= size && memcmp(in.at + n - 2, "\r\n", 2) == 0);
    check_slice(h.method, in);
    check_slice(h.target, in);
    check_slice(h.host, in);
    for (size_t i = 0; i < h.field_count; i++) {
        check_slice(h.fields[i].name, in);
        check_slice(h.fields[i].value, in);
    }
    check_again(&h);
    for (int shorter = n - 1; shorter >= 0 && n < 400; shorter--)
        assert(http_parse_request(str_upto(in, (size_t)shorter), &h, &why) == 0);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* http/chunks: whole, in pieces of every size, given back, malformed, limits. */
#include <stdio.h>

#include "base/buf.h"
#include "http/body_internal.h"
#include "http/head.h"
#include "test.h"

static const char good[] =
    "5\r\nhello\r\n1;ext=\"a b\"\r\n \r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\n";
static const char payload[] = "hello 0123456789";

/* -1 malformed, 0 more needed, 1 done; `step` bytes are shown at a time. */
static int decode(struct str in, size_t step, struct buf *out, size_t *out_used)
{
    struct http_chunks c = {0};
    size_t used = 0, seen = 0;

    while (seen < in.len && !c.is_done) {
        ssize_t n;

        seen = in.len - seen < step ? in.len : seen + step;
        do {
            struct str data;

            n = http_chunks_next(&c, str_from(str_upto(in, seen), used), &data);
            if (n < 0)
                return -1;
            CHECK(data.len <= (size_t)n && (data.len == 0 || data.at >= in.at));
            buf_add_str(out, data);
            used += (size_t)n;
        } while (n > 0 && !c.is_done);
    }
    *out_used = used;
    return c.is_done ? 1 : 0;
}

static void decodes_in_pieces_of_any_size(void)
{
    struct str in =
        STR("5\r\nhello\r\n1;ext=\"a b\"\r\n \r\nA\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET");

    for (size_t step = 1; step <= in.len; step++) {
        struct buf out;
        size_t used = 0;

        buf_init(&out, 100);
        CHECK(decode(in, step, &out, &used) == 1);
        CHECK(used == in.len - 3);
        CHECK(str_is(buf_str(&out), payload));
        buf_done(&out);
    }
}

static void wants_more_until_the_end(void)
{
    for (size_t len = 0; len < sizeof(good) - 1; len++) {
        struct buf out;
        size_t used = 0;

        buf_init(&out, 100);
        CHECK(decode((struct str){good, len}, SIZE_MAX / 2, &out, &used) == 0);
        CHECK(used == len);
        buf_done(&out);
    }
}

static void shows_again_what_was_not_taken(void)
{
    struct http_head h = {.framing = HTTP_CHUNKED};
    struct str in = {good, sizeof(good) - 1};
    struct body b = {0};
    struct buf out;
    size_t at = 0;

    buf_init(&out, 100);
    body_init(&b, &h);
    for (int i = 0; i < 1000 && !b.is_done; i++) {
        struct str data;
        ssize_t used = body_next(&b, str_from(in, at), &data);
        size_t taken = data.len > 0 && i % 2 == 0 ? 1 : 0; /* one byte every other time */

        CHECK(used > 0);
        buf_add_str(&out, str_upto(data, taken));
        body_give_back(&b, data.len - taken);
        at += (size_t)used - (data.len - taken);
    }
    CHECK(b.is_done && at == in.len && str_is(buf_str(&out), payload));
    CHECK(str_is(buf_str(&b.trailers), "X: y\r\n"));
    body_done(&b);
    buf_done(&out);
}

static void keeps_trailers(void)
{
    static const char *const lines[] = {"", "A: 1\r\n", "A:\r\nB: \t2 \r\na: 3\r\n"};

    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct http_head h = {.framing = HTTP_CHUNKED};
        struct body b = {0};
        char text[200];
        size_t len = (size_t)snprintf(text, sizeof text, "1\r\na\r\n0\r\n%s\r\nGET", lines[i]);

        for (size_t step = 1; step <= len; step++) {
            size_t at = 0, seen = 0;

            body_init(&b, &h); /* releases what the last body left */
            while (!b.is_done && seen < len) {
                struct str data;

                seen = seen + step < len ? seen + step : len;
                while (!b.is_done && at < seen) {
                    ssize_t n = body_next(&b, (struct str){text + at, seen - at}, &data);

                    CHECK(n >= 0);
                    if (n <= 0)
                        break;
                    at += (size_t)n;
                }
            }
            CHECK(b.is_done && at == len - 3 && str_is(buf_str(&b.trailers), lines[i]));
        }
        body_done(&b);
    }
}

static void counts_a_length(void)
{
    struct http_head h = {.framing = HTTP_LENGTH, .body_length = 5};
    struct body b = {0};
    struct str data;

    body_init(&b, &h);
    CHECK(body_next(&b, STR(""), &data) == 0 && !b.is_done);
    CHECK(body_next(&b, STR("ab"), &data) == 2 && data.len == 2 && !b.is_done);
    CHECK(body_next(&b, STR("cdeGET"), &data) == 3 && str_is(data, "cde") && b.is_done);
    body_give_back(&b, 1);
    CHECK(!b.is_done && body_next(&b, STR("eGET"), &data) == 1 && b.is_done);
    CHECK(body_next(&b, STR("GET"), &data) == 0);
}

static void refuses(void)
{
    static const char *const bad[] = {
        "\r\n",
        " 1\r\n",
        "1 \r\n",
        "x\r\n",
        "-1\r\n",
        "+1\r\n",
        "0x1\r\n",
        "1\n",
        "1\rX",
        "1;a\nb",
        "1;a\rb",
        "1;\x01",
        "1\r\nab",
        "1\r\na\n",
        "1\r\na\rX",
        "1\r\na\r\n\r\n",
        "0\r\n:\r\n",
        "0\r\nX\r\n",
        "0\r\n a\r\n",
        "0\r\nX:\n",
        "0\r\nX:\r\rn",
        "0\r\n\rX",
        "0\r\nX :a\r\n",
        ";\r\n",
        "g",
        "0000000000000001",
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct buf out;
        size_t used;

        test_note("case %zu", i);
        buf_init(&out, 100);
        CHECK(decode(str_of(bad[i]), SIZE_MAX / 2, &out, &used) == -1);
        buf_clear(&out);
        CHECK(decode(str_of(bad[i]), 1, &out, &used) == -1);
        buf_done(&out);
    }
}

static int decode_filled(const char *front, size_t fill, const char *back)
{
    struct buf in, out;
    size_t used;
    int result;

    buf_init(&in, 64 << 10);
    buf_init(&out, 100);
    buf_add_text(&in, front);
    for (size_t i = 0; i < fill; i++)
        buf_add_byte(&in, 'a');
    buf_add_text(&in, back);
    result = decode(buf_str(&in), SIZE_MAX / 2, &out, &used);
    buf_done(&in);
    buf_done(&out);
    return result;
}

static void has_limits(void)
{
    CHECK(decode_filled("1;", 1000, "\r\nx\r\n0\r\n\r\n") == 1);
    CHECK(decode_filled("1;", 1100, "\r\nx\r\n0\r\n\r\n") == -1);
    CHECK(decode_filled("0\r\nX:", 8000, "\r\n\r\n") == 1);
    CHECK(decode_filled("0\r\nX:", 8200, "\r\n\r\n") == -1);
    CHECK(decode_filled("fffffffffffffff\r\n", 1000, "") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"decodes in pieces of any size",  decodes_in_pieces_of_any_size },
        {"wants more until the end",       wants_more_until_the_end      },
        {"shows again what was not taken", shows_again_what_was_not_taken},
        {"keeps trailers",                 keeps_trailers                },
        {"counts a length",                counts_a_length               },
        {"refuses",                        refuses                       },
        {"has limits",                     has_limits                    },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

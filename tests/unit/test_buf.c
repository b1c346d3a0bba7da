/* SPDX-License-Identifier: Apache-2.0 */
/* base/buf: growth, the maximum, eating from the front, sticky failure. */
#include "base/buf.h"
#include "test.h"

static void appends(void)
{
    struct buf b;

    buf_init(&b, 1000);
    buf_add_text(&b, "a");
    buf_add_str(&b, STR("bc"));
    buf_add_str(&b, (struct str){NULL, 0});
    buf_add_byte(&b, '-');
    buf_add_u64(&b, 0);
    buf_add_u64(&b, UINT64_MAX);
    buf_printf(&b, "<%s%d>", "x", 5);
    CHECK(buf_ok(&b));
    CHECK(str_is(buf_str(&b), "abc-018446744073709551615<x5>"));
    CHECK(buf_left(&b) == 1000 - b.len);
    buf_truncate(&b, 3);
    CHECK(str_is(buf_str(&b), "abc"));
    buf_done(&b);
    CHECK(b.len == 0 && b.at == NULL && b.max == 1000);
}

static void stops_at_the_maximum(void)
{
    struct buf b;

    buf_init(&b, 5);
    buf_add_text(&b, "abcde");
    CHECK(buf_ok(&b));
    buf_add_byte(&b, 'f');
    CHECK(!buf_ok(&b));
    buf_consume(&b, 3);
    buf_add_byte(&b, 'f'); /* would fit, but failure is sticky */
    CHECK(str_is(buf_str(&b), "de"));
    CHECK(buf_room(&b, 1) == NULL);
    buf_clear(&b);
    CHECK(buf_ok(&b) && b.len == 0);
    buf_add_text(&b, "abcde");
    CHECK(buf_ok(&b) && str_is(buf_str(&b), "abcde"));
    buf_done(&b);
}

static void appends_nothing_of_what_does_not_fit(void)
{
    struct buf b;

    buf_init(&b, 8);
    buf_add_text(&b, "ab");
    buf_add_text(&b, "0123456789");
    CHECK(!buf_ok(&b) && str_is(buf_str(&b), "ab"));
    buf_clear(&b);
    buf_printf(&b, "%0400d", 1);
    CHECK(!buf_ok(&b) && b.len == 0);
    buf_done(&b);
    buf_init(&b, 0);
    buf_add(&b, NULL, 0);
    CHECK(buf_ok(&b));
    buf_add_byte(&b, 'x');
    CHECK(!buf_ok(&b));
    buf_done(&b);
}

static void prints_texts_of_any_length(void)
{
    for (int width = 250; width < 262; width++) {
        struct buf b;

        buf_init(&b, (size_t)width);
        buf_printf(&b, "%0*d", width, 7); /* to the last byte of the maximum */
        CHECK(buf_ok(&b) && b.len == (size_t)width);
        CHECK(b.at[0] == '0' && b.at[width - 1] == '7');
        buf_done(&b);
    }
}

static void survives_a_long_stream(void)
{
    struct buf b;
    unsigned written = 0, eaten = 0, state = 1;

    buf_init(&b, 10000);
    while (eaten < 300000) {
        state = state * 1103515245 + 12345;
        for (unsigned n = state >> 16 & 1023; n > 0 && buf_left(&b) > 0; n--)
            buf_add_byte(&b, (char)(written++ & 0xff));
        state = state * 1103515245 + 12345;
        for (unsigned n = state >> 16 & 1023; n > 0 && b.len > 0; n--) {
            CHECK((unsigned char)b.at[0] == (eaten & 0xff));
            eaten++;
            buf_consume(&b, 1);
        }
        CHECK(b.len == written - eaten);
        CHECK(b.cap <= b.max);
    }
    CHECK(buf_ok(&b));
    buf_done(&b);
}

static void releases_big_memory_when_emptied(void)
{
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_add_text(&b, "small");
    buf_consume(&b, 5);
    CHECK(b.base != NULL); /* kept */
    CHECK(buf_room(&b, 5000) != NULL);
    buf_fill(&b, 5000);
    buf_consume(&b, 4999);
    CHECK(b.len == 1 && b.base != NULL);
    buf_consume(&b, 1);
    CHECK(b.base == NULL && b.at == NULL && b.cap == 0);
    buf_add_text(&b, "again");
    CHECK(str_is(buf_str(&b), "again"));
    buf_done(&b);
}

static void fills_room(void)
{
    struct buf b;
    char *room;

    buf_init(&b, 100);
    room = buf_room(&b, 100);
    CHECK(room != NULL);
    memset(room, 'x', 100);
    buf_fill(&b, 3);
    CHECK(str_is(buf_str(&b), "xxx"));
    CHECK(buf_room(&b, 98) == NULL && !buf_ok(&b));
    buf_done(&b);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"appends",                              appends                             },
        {"stops at the maximum",                 stops_at_the_maximum                },
        {"appends nothing of what does not fit", appends_nothing_of_what_does_not_fit},
        {"prints texts of any length",           prints_texts_of_any_length          },
        {"survives a long stream",               survives_a_long_stream              },
        {"releases big memory when emptied",     releases_big_memory_when_emptied    },
        {"fills room",                           fills_room                          },
    };
    return test_main(tests, COUNT_OF(tests), argc, argv);
}

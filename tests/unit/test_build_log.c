/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a build: numbers that stay, a ring that drops (CT-16, CT-28, CT-29, CT-30). */
#include <stdio.h>

#include "base/clock.h"
#include "domain/build_log.h"
#include "test.h"

static void say(struct build_log *l, size_t n)
{
    char text[40];

    snprintf(text, sizeof(text), "line %zu", n);
    build_log_add(l, n % 2 == 0 ? BUILD_INFO : BUILD_WARN, STR("3"), str_of(text));
}

static bool is_line(const struct build_log *l, size_t n)
{
    struct build_line line = build_log_line(l, n);
    char text[40];

    snprintf(text, sizeof(text), "line %zu", n);
    return str_is(line.text, text) && str_is(line.step, "3") &&
           line.level == (n % 2 == 0 ? BUILD_INFO : BUILD_WARN);
}

static void numbers_stay(void)
{
    struct build_log *l = build_log_new();

    CHECK(build_log_first(l) == 0 && build_log_end(l) == 0);
    for (size_t n = 0; n < 3 * BUILD_LINES_MAX; n++)
        say(l, n);
    CHECK(build_log_end(l) == 3 * BUILD_LINES_MAX);
    CHECK(build_log_first(l) == 2 * BUILD_LINES_MAX);
    for (size_t n = build_log_first(l); n < build_log_end(l); n++)
        CHECK(is_line(l, n));
    build_log_free(l);
}

static void bytes_are_bounded(void)
{
    static char text[2 * BUILD_LINE_MAX];
    struct build_log *l = build_log_new();
    size_t lines = 2 * BUILD_LOG_BYTES_MAX / BUILD_LINE_MAX, kept;

    memset(text, 'x', sizeof(text));
    for (size_t n = 0; n < lines; n++)
        build_log_add(l, BUILD_INFO, (struct str){0}, (struct str){text, sizeof(text)});
    kept = build_log_end(l) - build_log_first(l);
    CHECK(build_log_line(l, build_log_first(l)).text.len == BUILD_LINE_MAX);
    CHECK(kept * BUILD_LINE_MAX <= BUILD_LOG_BYTES_MAX && kept > lines / 3);
    build_log_free(l);
}

static void comes_back(void)
{
    struct build_log *l = build_log_new(), *copy = NULL;
    struct err err = {0};
    struct buf bytes;

    for (size_t n = 0; n < 1000; n++)
        say(l, n);
    build_log_add(l, BUILD_ERROR, (struct str){0}, STR("\xff\x00 is no text"));
    buf_init(&bytes, 1 << 20);
    build_log_encode(l, &bytes, 16 << 10);
    CHECK(buf_ok(&bytes) && bytes.len <= 16 << 10);
    CHECK(build_log_decode(buf_str(&bytes), &copy, &err) == 0);
    CHECK(build_log_end(copy) == 1001 && build_log_first(copy) > 0);
    CHECK(build_log_first(copy) < 900);
    CHECK(is_line(copy, build_log_first(copy)) && is_line(copy, 999));
    CHECK(build_log_line(copy, 1000).text.len == 13);
    CHECK(build_log_line(copy, 999).at_ms == build_log_line(l, 999).at_ms);
    CHECK(build_log_decode(STR("\xff"), &copy, &err) != 0);
    buf_done(&bytes);
    build_log_free(copy);
    build_log_free(l);
}

/* 10,000 lines, 1000 polls of 100: no poll walks or copies the log. */
static void polls_are_cheap(void)
{
    struct build_log *l = build_log_new();
    uint64_t began, took;
    size_t seen = 0;

    for (size_t n = 0; n < BUILD_LINES_MAX; n++)
        say(l, n);
    began = clock_mono_us();
    for (size_t poll = 0; poll < 1000; poll++)
        for (size_t n = 0; n < 100; n++)
            seen += build_log_line(l, (poll * 100 + n) % BUILD_LINES_MAX).text.len;
    took = clock_mono_us() - began;
    test_note("%llu us, %zu bytes", (unsigned long long)took, seen);
    CHECK(took < 2000000); /* about 2 ms without sanitizers on a quiet machine */
    build_log_free(l);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"CT-16 CT-29 lines keep their numbers while the oldest are dropped", numbers_stay     },
        {"CT-29 bytes and lines are bounded",                                 bytes_are_bounded},
        {"CT-28 a log comes back from its record with its times",             comes_back       },
        {"CT-30 polls look at their lines only",                              polls_are_cheap  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* envd/print: says what libc's vsnprintf says, for all that envd's sources ask of it. */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "envd/print.h"
#include "test.h"

static void same(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void same(const char *format, ...)
{
    static const size_t sizes[] = {64, 300, 5, 1, 0};

    test_note("%s", format);
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        char ours[300] = "untouched", theirs[300] = "untouched";
        va_list args, again;
        int a, b;

        va_start(args, format);
        va_copy(again, args);
        a = print_text(ours, sizes[i], format, args);
        b = vsnprintf(theirs, sizes[i], format, again);
        va_end(again);
        va_end(args);
        CHECK(a == b);
        CHECK(strcmp(ours, theirs) == 0);
    }
}

static void texts(void)
{
    same("plain");
    same("100%%");
    same("<%s>", "text");
    same("<%s|%s>", "", "a longer text that does not fit into the smaller ones of the buffers");
    same("<%.3s>", "abcdef");
    same("<%.100s>", "abc");
    same("<%.*s>", 2, "abc");
    same("<%.*s>", 0, "abc");
    same("<%.*s>", -1, "abc");
    same("<%6s>", "abc");
    same("<%c%3c>", 'x', 'y');
}

static void numbers(void)
{
    same("%d %d %d", 0, -1, INT32_MIN);
    same("%u %u", 0u, UINT32_MAX);
    same("%x %x", 0xdeadbeefu, 0u);
    same("%02d:%02d", 7, 12);
    same("%04d|%4d|%04d", -7, -7, 12345);
    same("%03u %06u %09u", 5u, 999u, 123456789u);
    same("%02llu", 5ull);
    same("%ld %lu %lx", -5L, 5UL, 255UL);
    same("%lld %lld", (long long)INT64_MIN, (long long)INT64_MAX);
    same("%llu", (unsigned long long)UINT64_MAX);
    same("%zu %zd", SIZE_MAX, (ssize_t)-3);
    same("%*d|%0*d", 5, 42, 5, 42);
    same("%d %s %llu %d", 1, "two", 3ull, 4);
}

static int ours(char *to, size_t size, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = print_text(to, size, format, args);
    va_end(args);
    return len;
}

/* What it does not know is shown, not guessed: no argument is taken for it. */
static void unknown(void)
{
    char text[64];

    CHECK(ours(text, sizeof(text), "%d %g %s", 1, 2.0, "x") == 7);
    CHECK(strcmp(text, "1 %g %s") == 0);
    CHECK(ours(text, sizeof(text), "50%") == 3 && strcmp(text, "50%") == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"texts",               texts  },
        {"numbers",             numbers},
        {"unknown conversions", unknown},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

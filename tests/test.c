/* SPDX-License-Identifier: Apache-2.0 */
/* TAP runner behind tests/test.h. */
#include "test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NOTE_SIZE = 4096 };

enum outcome {
    PASSED,
    FAILED = 1,
    SKIPPED = 2,
};

static jmp_buf case_end;
static const char *skip_reason;

void test_check(bool holds, const char *claim, const char *file, int line)
{
    if (holds)
        return;
    printf("# %s:%d: CHECK(%s) does not hold\n", file, line, claim);
    fflush(stdout);
    longjmp(case_end, FAILED);
}

void test_note(const char *format, ...)
{
    char text[NOTE_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (char *c = strchr(text, '\n'); c != NULL; c = strchr(c, '\n'))
        *c = ' '; /* TAP is one line each */
    printf("# %s\n", text);
    fflush(stdout);
}

void test_skip(const char *reason)
{
    skip_reason = reason;
    longjmp(case_end, SKIPPED);
}

static enum outcome run_case(const struct test *t)
{
    int ended = setjmp(case_end);

    if (ended == 0)
        t->fn();
    return (enum outcome)ended;
}

int test_main(const struct test *tests, size_t count, int argc, char **argv)
{
    size_t failed = 0;
    const char *only = argc > 1 ? argv[1] : "";

    printf("1..%zu\n", count);
    for (size_t i = 0; i < count; i++) {
        bool is_chosen = strstr(tests[i].name, only) != NULL;
        enum outcome o = is_chosen ? run_case(&tests[i]) : SKIPPED;

        if (!is_chosen)
            skip_reason = "not chosen";
        failed += o == FAILED;
        printf("%sok %zu - %s%s%s\n", o == FAILED ? "not " : "", i + 1, tests[i].name,
               o == SKIPPED ? " # SKIP " : "", o == SKIPPED ? skip_reason : "");
        fflush(stdout);
    }
    return failed > 0;
}

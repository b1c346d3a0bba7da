/* SPDX-License-Identifier: Apache-2.0 */
/* The whole test framework: a test program is a table of named cases, each in order, TAP out.
 *
 *   static void adds_numbers(void) { CHECK(1 + 1 == 2); }
 *   int main(int argc, char **argv)
 *   {
 *       static const struct test tests[] = {{"adds numbers", adds_numbers}};
 *       return test_main(tests, COUNT_OF(tests), argc, argv);
 *   }
 *
 * A failing CHECK ends the case. test_skip() ends it as skipped, with the reason printed.
 * Run one case: program 'name part'. */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <stdbool.h>

#include "base/own.h"

struct test {
    const char *name;
    void (*fn)(void);
};

#define CHECK(claim) test_check((claim), #claim, __FILE__, __LINE__)

void test_check(bool holds, const char *claim, const char *file, int line);
void test_note(const char *format, ...) printf_like(1, 2); /* a "# …" line */
_Noreturn void test_skip(const char *reason);
int test_main(const struct test *tests, size_t count, int argc, char **argv);

#endif

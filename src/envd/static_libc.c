/* SPDX-License-Identifier: Apache-2.0 */
/* What the static envd has instead of libc's own: only that build compiles this file. The linker
 * takes these names from here, so that libc's large versions of them stay out of the program. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/own.h"
#include "envd/print.h"

int vsnprintf(char *restrict to, size_t size, const char *restrict format, va_list args)
{
    return print_text(to, size, format, args);
}

int snprintf(char *restrict to, size_t size, const char *restrict format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = print_text(to, size, format, args);
    va_end(args);
    return len;
}

/* Of assert(3): a belief about our own code was wrong. */
_Noreturn void __assert_fail(const char *claim, const char *file, int line, const char *function)
{
    char text[256];

    snprintf(text, sizeof(text), "envd: %s:%d: %s: %s is not so\n", file, line, function, claim);
    ignore(write(STDERR_FILENO, text, strlen(text))); /* nowhere else to say it */
    abort();
}

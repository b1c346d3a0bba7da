/* SPDX-License-Identifier: Apache-2.0 */
/* The printf of the static envd. That of libc brings long doubles, wide characters and buffered
 * files: 20 KB that nothing here uses. print.c gives the static program these under libc's names;
 * native builds have libc's own, and a test compares the two. */
#ifndef ENVD_PRINT_H
#define ENVD_PRINT_H

#include <stdarg.h>
#include <stddef.h>

/* As vsnprintf(3) for %s, %c, %d, %u, %x and %%, with a width or precision in digits or "*", the
 * flag 0, and the sizes l, ll, z. Of anything else the rest of the format is printed as it is. */
int print_text(char *to, size_t size, const char *format, va_list args);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Small forms of two functions of libc, for the static envd: see static_libc.c. Native builds have
 * libc's own, and a test compares them. */
#ifndef ENVD_SMALL_LIBC_H
#define ENVD_SMALL_LIBC_H

#include <stddef.h>

/* As qsort(3): in place, n log n at worst, not stable. */
void sort_items(void *items, size_t count, size_t size, int (*compare)(const void *, const void *));

/* As strerror(3), for the errors that calls on files, sockets and processes end with. Of others it
 * says that they are errors; the number is the caller's to print. */
const char *error_text(int number);

#endif

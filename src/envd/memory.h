/* SPDX-License-Identifier: Apache-2.0 */
/* The allocator of the static envd. That of libc is 9 KB of code that serves threads and hardens
 * programs that misuse it; envd has one thread. static_libc.c gives the static program these under
 * libc's names, a test stresses them, native builds have libc's own under the sanitizers.
 *
 * Sizes up to MEMORY_BLOCK_MAX are rounded up to one of two per power of two and come from slabs of
 * one size; a slab that is empty goes back to the kernel, but for one of each size, which keeps at
 * most MEMORY_KEPT bytes. What is larger is mapped by itself, so that what a large body took is the
 * kernel's again when it is freed. Memory that was never used is not touched.
 *
 * What is freed twice, or was never allocated, ends the program where it is noticed. */
#ifndef ENVD_MEMORY_H
#define ENVD_MEMORY_H

#include <stddef.h>

enum {
    MEMORY_BLOCK_MAX = 64 << 10, /* largest block of a slab, its head included */
    MEMORY_SLAB = 256 << 10,
    MEMORY_KEPT = 36 << 10,
};

/* As malloc(3), free(3) and realloc(3), whose errno they set; a size of 0 is a block of its own. */
void *memory_get(size_t size);
void memory_free(void *at);
void *memory_resize(void *at, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Memory for one request: many small allocations, one release, a maximum.
 * Returns NULL when the maximum is reached or there is no memory; never aborts. Zeroed. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used; /* bytes handed out */
    size_t max;
};

void arena_init(struct arena *a, size_t max);
void arena_done(struct arena *a); /* frees all; the arena is empty and usable again */

void *arena_alloc(struct arena *a, size_t size);               /* aligned for any type */
void *arena_array(struct arena *a, size_t count, size_t size); /* overflow checked */
/* A copy with a terminating NUL behind it. .at is NULL on failure (also for len 0 on success it is
 * a valid ""). */
struct str arena_str(struct arena *a, struct str s);
char *arena_printf(struct arena *a, const char *format, ...) printf_like(2, 3);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Request memory: blocks in a list, the newest is filled. Used by decoders and handlers. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    ARENA_BLOCK_FIRST = 2048,
    ARENA_BLOCK_MAX = 65536, /* blocks double up to here; larger requests get their own */
    ARENA_ALIGN = alignof(max_align_t),
};

struct arena_block {
    struct arena_block *older;
    size_t used, size;
    alignas(max_align_t) char bytes[];
};

void arena_init(struct arena *a, size_t max)
{
    *a = (struct arena){.max = max};
}

void arena_done(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *older = a->blocks->older;

        free(a->blocks);
        a->blocks = older;
    }
    a->used = 0;
}

static bool add_block(struct arena *a, size_t needed)
{
    size_t size = a->blocks == NULL ? ARENA_BLOCK_FIRST : a->blocks->size * 2;
    struct arena_block *block;

    if (size > ARENA_BLOCK_MAX)
        size = ARENA_BLOCK_MAX;
    if (size < needed)
        size = needed;
    block = calloc(1, sizeof(*block) + size);
    if (block == NULL)
        return false;
    block->size = size;
    block->older = a->blocks;
    a->blocks = block;
    return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
    size_t rounded = (size == 0 ? 1 : size) + (ARENA_ALIGN - 1);
    struct arena_block *block = a->blocks;
    void *p;

    if (rounded < size)
        return NULL;
    rounded -= rounded % ARENA_ALIGN;
    if (rounded > a->max - a->used)
        return NULL;
    if (block == NULL || rounded > block->size - block->used) {
        if (!add_block(a, rounded))
            return NULL;
        block = a->blocks;
    }
    p = block->bytes + block->used;
    block->used += rounded;
    a->used += rounded;
    return p;
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return arena_alloc(a, bytes);
}

struct str arena_str(struct arena *a, struct str s)
{
    char *copy = s.len == SIZE_MAX ? NULL : arena_alloc(a, s.len + 1);

    if (copy == NULL)
        return (struct str){NULL, 0};
    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return (struct str){copy, s.len};
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    va_start(args, format);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0)
        text = arena_alloc(a, (size_t)len + 1);
    if (text == NULL)
        return NULL;
    va_start(args, format);
    ignore(vsnprintf(text, (size_t)len + 1, format, args)); /* same text, known length */
    va_end(args);
    return text;
}

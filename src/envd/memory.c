/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs and mappings; static_libc.c calls. See memory.h. */
#include "envd/memory.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/own.h"

enum {
    BLOCK_MIN = 32,
    CLASSES = 23, /* 32, 48, 64, 96, … MEMORY_BLOCK_MAX */
    PAGE = 4096,
};

/* In front of what the caller gets, which is aligned like it. */
struct block {
    struct slab *slab; /* NULL: mapped by itself */
    size_t size;       /* with this head; 0: free */
};

struct free_block {
    struct block head;
    struct free_block *next;
};

struct slab {
    _Alignas(16) struct slab *next; /* among those of its size with room */
    struct slab *previous;
    struct free_block *free;
    uint32_t size;   /* of a block */
    uint32_t fresh;  /* where what was never given away begins */
    uint32_t used;   /* blocks given away */
    uint32_t number; /* of its size among all */
};

_Static_assert(sizeof(struct block) == 16, "what callers get is aligned as blocks are");

static struct slab *roomy[CLASSES];

static void *map(size_t size)
{
    void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return at == MAP_FAILED ? NULL : at;
}

static uint32_t size_of_class(uint32_t number)
{
    return (number % 2 == 0 ? BLOCK_MIN : BLOCK_MIN * 3 / 2) << number / 2;
}

static void link_slab(struct slab *s)
{
    s->previous = NULL;
    s->next = roomy[s->number];
    if (s->next != NULL)
        s->next->previous = s;
    roomy[s->number] = s;
}

static void unlink_slab(struct slab *s)
{
    if (s->previous == NULL)
        roomy[s->number] = s->next;
    else
        s->previous->next = s->next;
    if (s->next != NULL)
        s->next->previous = s->previous;
}

static bool is_full(const struct slab *s)
{
    return s->free == NULL && s->fresh + s->size > MEMORY_SLAB;
}

static struct slab *slab_with_room(size_t size)
{
    uint32_t number = 0;
    struct slab *s;

    while (size_of_class(number) < size)
        number++;
    s = roomy[number];
    if (s != NULL)
        return s;
    s = map(MEMORY_SLAB);
    if (s == NULL)
        return NULL;
    s->size = size_of_class(number);
    s->fresh = sizeof(*s);
    s->number = number;
    link_slab(s);
    return s;
}

static struct block *take(struct slab *s)
{
    struct block *b;

    if (s->free != NULL) {
        b = &s->free->head;
        s->free = s->free->next;
    } else {
        b = (struct block *)(void *)((char *)s + s->fresh);
        s->fresh += s->size;
    }
    s->used++;
    if (is_full(s))
        unlink_slab(s);
    *b = (struct block){s, s->size};
    return b;
}

/* Nothing of it is used any more. */
static void settle(struct slab *s)
{
    if (s->next != NULL || s->previous != NULL) {
        unlink_slab(s);
        ignore(munmap(s, MEMORY_SLAB)); /* cannot fail: all of one mapping */
        return;
    }
    if (s->fresh > MEMORY_KEPT) /* the only one of its size: the next block is a moment away */
        ignore(madvise((char *)s + PAGE, MEMORY_SLAB - PAGE, MADV_DONTNEED));
    s->free = NULL;
    s->fresh = sizeof(*s);
}

static void give_back(struct slab *s, struct block *b)
{
    struct free_block *f = (struct free_block *)(void *)b;

    if (is_full(s))
        link_slab(s);
    b->size = 0;
    f->next = s->free;
    s->free = f;
    if (--s->used == 0)
        settle(s);
}

static size_t whole_pages(size_t size)
{
    return (size + PAGE - 1) & ~(size_t)(PAGE - 1);
}

void *memory_get(size_t size)
{
    bool fits = size <= PTRDIFF_MAX - PAGE; /* else the next sum wraps */
    size_t whole = size + sizeof(struct block);
    struct block *b = NULL;
    struct slab *s;

    if (fits && whole <= MEMORY_BLOCK_MAX) {
        s = slab_with_room(whole);
        b = s == NULL ? NULL : take(s);
    } else if (fits) {
        whole = whole_pages(whole);
        b = map(whole);
        if (b != NULL)
            b->size = whole;
    }
    if (b != NULL)
        return b + 1;
    errno = ENOMEM;
    return NULL;
}

static struct block *of_caller(void *at)
{
    struct block *b = (struct block *)at - 1;

    assert(b->size != 0 && (b->slab == NULL || b->slab->size == b->size));
    return b;
}

void memory_free(void *at)
{
    struct block *b;

    if (at == NULL)
        return;
    b = of_caller(at);
    if (b->slab != NULL)
        give_back(b->slab, b);
    else
        ignore(munmap(b, b->size)); /* cannot fail: all of one mapping */
}

static void *remap(struct block *b, size_t size)
{
    b = mremap(b, b->size, size, MREMAP_MAYMOVE);
    if (b == MAP_FAILED)
        return NULL; /* errno says it */
    b->size = size;
    return b + 1;
}

void *memory_resize(void *at, size_t size)
{
    struct block *b;
    size_t room;
    void *new;

    if (at == NULL)
        return memory_get(size);
    b = of_caller(at);
    room = b->size - sizeof(*b);
    if (b->slab == NULL && size > MEMORY_BLOCK_MAX && size < PTRDIFF_MAX - PAGE)
        return remap(b, whole_pages(size + sizeof(*b)));
    if (size <= room && size >= room / 4)
        return at;
    new = memory_get(size);
    if (new == NULL)
        return NULL;
    memcpy(new, at, size < room ? size : room);
    memory_free(at);
    return new;
}

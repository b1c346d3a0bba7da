/* SPDX-License-Identifier: Apache-2.0 */
/* The timer heap. Used by io's loop and by deadlines in domain. */
#include "base/heap.h"

#include <assert.h>

#include "base/own.h"

enum { HEAP_FIRST = 16 };

static bool is_before(const struct heap_node *a, const struct heap_node *b)
{
    return a->key != b->key ? a->key < b->key : a->order < b->order;
}

static void set_place(struct heap *h, size_t at, struct heap_node *n)
{
    h->nodes[at] = n;
    n->place = at + 1;
}

static void sift_up(struct heap *h, size_t at, struct heap_node *n)
{
    while (at > 0) {
        size_t parent = (at - 1) / 2;

        if (!is_before(n, h->nodes[parent]))
            break;
        set_place(h, at, h->nodes[parent]);
        at = parent;
    }
    set_place(h, at, n);
}

static void sift_down(struct heap *h, size_t at, struct heap_node *n)
{
    for (;;) {
        size_t child = 2 * at + 1;

        if (child >= h->count)
            break;
        if (child + 1 < h->count && is_before(h->nodes[child + 1], h->nodes[child]))
            child++;
        if (!is_before(h->nodes[child], n))
            break;
        set_place(h, at, h->nodes[child]);
        at = child;
    }
    set_place(h, at, n);
}

/* `n` belongs at `at` or below or above it. */
static void settle(struct heap *h, size_t at, struct heap_node *n)
{
    if (at > 0 && is_before(n, h->nodes[(at - 1) / 2]))
        sift_up(h, at, n);
    else
        sift_down(h, at, n);
}

void heap_done(struct heap *h)
{
    free(h->nodes);
    *h = (struct heap){0};
}

static void grow(struct heap *h)
{
    size_t room = h->room == 0 ? HEAP_FIRST : h->room * 2;
    struct heap_node **nodes = reallocarray(h->nodes, room, sizeof(struct heap_node *));

    if (nodes == NULL)
        abort();
    h->nodes = nodes;
    h->room = room;
}

void heap_put(struct heap *h, struct heap_node *n, uint64_t key)
{
    n->key = key;
    n->order = h->next_order++;
    if (heap_has(n)) {
        assert(h->nodes[n->place - 1] == n);
        settle(h, n->place - 1, n);
        return;
    }
    if (h->count == h->room)
        grow(h);
    sift_up(h, h->count++, n);
}

void heap_remove(struct heap *h, struct heap_node *n)
{
    size_t at = n->place - 1;
    struct heap_node *last;

    if (!heap_has(n))
        return;
    assert(at < h->count && h->nodes[at] == n);
    n->place = 0;
    last = h->nodes[--h->count];
    if (last != n)
        settle(h, at, last);
}

struct heap_node *heap_min(const struct heap *h)
{
    return h->count == 0 ? NULL : h->nodes[0];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Intrusive binary min-heap: timers and deadlines, earliest first, O(log n) to move one.
 * Equal keys leave in the order they came in. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct heap_node {
    uint64_t key;
    uint64_t order; /* private */
    size_t place;   /* private: index + 1; 0 = not in a heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count, room;
    uint64_t next_order;
};

void heap_done(struct heap *h);
void heap_put(struct heap *h, struct heap_node *n, uint64_t key); /* inserts, or moves if inside */
void heap_remove(struct heap *h, struct heap_node *n);            /* harmless when not inside */
struct heap_node *heap_min(const struct heap *h);                 /* or NULL */

static inline bool heap_has(const struct heap_node *n)
{
    return n->place != 0;
}

#endif

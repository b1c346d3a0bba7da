/* SPDX-License-Identifier: Apache-2.0 */
/* Huffman codes of limited length. Used by gzip.c. */
#include "codec/prefix_code.h"

#include <stdlib.h>
#include <string.h>

enum { LENGTH_MAX = 15 };

/* Frequency above, symbol in the low 9 bits: sorts by frequency. */
static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* The lightest of what is left: leaves come sorted, inner nodes are made in the order of their
 * weight, so one look at each queue is enough. */
struct queues {
    const uint32_t *leaves;
    unsigned count, leaf, node; /* leaf, node: the first that has no parent */
    uint32_t weights[PREFIX_SYMBOLS_MAX];
    uint16_t leaf_parents[PREFIX_SYMBOLS_MAX], node_parents[PREFIX_SYMBOLS_MAX];
};

static uint32_t take_lightest(struct queues *q, unsigned made, uint16_t parent)
{
    if (q->leaf < q->count && (q->node == made || q->leaves[q->leaf] >> 9 <= q->weights[q->node])) {
        q->leaf_parents[q->leaf] = parent;
        return q->leaves[q->leaf++] >> 9;
    }
    q->node_parents[q->node] = parent;
    return q->weights[q->node++];
}

/* How many leaves there are at each depth; those below the limit are lifted to it. */
static void count_depths(const uint32_t *leaves, unsigned count, unsigned limit,
                         unsigned counts[LENGTH_MAX + 1])
{
    struct queues q = {.leaves = leaves, .count = count};
    uint16_t depths[PREFIX_SYMBOLS_MAX];
    unsigned root = count - 2;

    for (unsigned made = 0; made < count - 1; made++) {
        uint32_t weight = take_lightest(&q, made, (uint16_t)made);

        q.weights[made] = weight + take_lightest(&q, made, (uint16_t)made);
    }
    depths[root] = 0;
    for (unsigned i = root; i-- > 0;)
        depths[i] = (uint16_t)(depths[q.node_parents[i]] + 1);
    for (unsigned i = 0; i < count; i++) {
        unsigned depth = depths[q.leaf_parents[i]] + 1u;

        counts[depth < limit ? depth : limit]++;
    }
}

/* Lifting leaves made the code too full: lower others until it fits again. */
static void repair(unsigned limit, unsigned counts[LENGTH_MAX + 1])
{
    uint32_t used = 0;

    for (unsigned len = 1; len <= limit; len++)
        used += counts[len] << (limit - len);
    for (; used > 1u << limit; used--) {
        unsigned len = limit - 1;

        while (counts[len] == 0)
            len--;
        counts[limit]--;
        counts[len]--;
        counts[len + 1] += 2;
    }
}

void prefix_lengths(struct prefix_code *c, const uint32_t *frequencies, unsigned count,
                    unsigned limit)
{
    uint32_t leaves[PREFIX_SYMBOLS_MAX];
    unsigned counts[LENGTH_MAX + 1] = {0};
    unsigned used = 0;

    memset(c->lengths, 0, sizeof(c->lengths));
    for (unsigned i = 0; i < count; i++) {
        if (frequencies[i] > 0)
            leaves[used++] = frequencies[i] << 9 | i;
    }
    for (unsigned i = 0; used < 2; i++) { /* a code of one symbol has no complete form */
        if (frequencies[i] == 0)
            leaves[used++] = 1u << 9 | i;
    }
    qsort(leaves, used, sizeof(leaves[0]), compare);
    count_depths(leaves, used, limit, counts);
    repair(limit, counts);
    for (unsigned len = limit, i = 0; len > 0; len--) {
        for (; counts[len] > 0; counts[len]--, i++)
            c->lengths[leaves[i] & 511] = (uint8_t)len;
    }
}

void prefix_codes(struct prefix_code *c, unsigned count)
{
    unsigned code = 0;

    for (unsigned len = 1; len <= LENGTH_MAX; len++, code <<= 1) {
        for (unsigned i = 0; i < count; i++) {
            unsigned mirrored = 0;

            if (c->lengths[i] != len)
                continue;
            for (unsigned bit = 0; bit < len; bit++)
                mirrored |= (code >> bit & 1) << (len - 1 - bit);
            c->codes[i] = (uint16_t)mirrored;
            code++;
        }
    }
}

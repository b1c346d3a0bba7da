/* SPDX-License-Identifier: Apache-2.0 */
/* How many of something each key has now, with a limit: connections of a peer, requests of a
 * sandbox. Shared by all loops of edge, so the limit is exact; a call holds a mutex for the time of
 * one look into a map. Bounded by what is counted: a key without any is forgotten. */
#ifndef EDGE_COUNTS_H
#define EDGE_COUNTS_H

#include <pthread.h>

#include "base/map.h"

struct count_slot;

struct counts {
    pthread_mutex_t mutex;
    struct map by_key;
    struct count_slot **slots; /* by number; NULL: free */
    uint32_t *spare;           /* free numbers */
    size_t slot_count, spare_count, room;
    uint32_t max; /* of each key */
};

enum {
    COUNT_NONE = 0,           /* nothing was counted: there is no limit */
    COUNT_FULL = 1,           /* the key has its limit */
    COUNT_FIRST = 2,          /* the first number of a slot */
    COUNT_SLOTS_MAX = 1 << 28 /* so that a number leaves bits for others */
};

void counts_init(struct counts *c, uint32_t max); /* 0: no limit, nothing is counted */
void counts_done(struct counts *c);

/* One more. COUNT_NONE, COUNT_FULL, or the number to give back. */
uint32_t counts_take(struct counts *c, struct str key);
void counts_give(struct counts *c, uint32_t slot); /* harmless with the first two */

#endif

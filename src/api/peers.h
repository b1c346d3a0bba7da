/* SPDX-License-Identifier: Apache-2.0 */
/* A token bucket for each address that asks. Bounded: who has been quiet longest is forgotten, and
 * starts with a full bucket again. An IPv6 peer is its /64, as that is what one customer has. */
#ifndef API_PEERS_H
#define API_PEERS_H

#include "base/bucket.h"
#include "base/list.h"
#include "base/map.h"

enum {
    PEERS_MAX = 10000,
};

struct peers {
    struct map by_address; /* zeroed struct = empty table */
    struct list order;     /* least recently seen first */
};

/* Never NULL. Good until the next call. */
struct bucket *peers_get(struct peers *p, struct str address);
void peers_done(struct peers *p);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The sandboxes of this worker, by id, and creates that are under way: who counts against
 * max_concurrent_sandboxes. A slot belongs to an id (IW-27, IW-28): to end one twice, or one of
 * somebody else, frees nothing. */
#ifndef WORKER_SEATS_H
#define WORKER_SEATS_H

#include "base/clock.h"
#include "base/map.h"

enum {
    BOX_ID_MAX = 64,
    BOX_TEXT_MAX = 255,
    BOX_TOKEN_MAX = 1023,
};

/* What is known of a sandbox. */
struct box {
    char id[BOX_ID_MAX + 1];
    char image[BOX_TEXT_MAX + 1];
    char domain[BOX_TEXT_MAX + 1];                                   /* "": none */
    char token[BOX_TOKEN_MAX + 1], traffic_token[BOX_TOKEN_MAX + 1]; /* "": none; never shown */
    char started_at[RFC3339_MAX];
    char name[BOX_TEXT_MAX + 1];
    uint64_t order; /* of its birth among all */
    unsigned execs; /* under way */
};

struct seats {
    uint64_t max;
    uint64_t births; /* so far */
    size_t pending;  /* creates under way */
    struct map boxes;
};

void seats_done(struct seats *s);
size_t seats_used(const struct seats *s);
bool seats_reserve(struct seats *s);   /* false: none is free */
void seats_give_back(struct seats *s); /* the create failed */
/* The reserved slot becomes this sandbox's; `b` is copied. */
struct box *seats_take(struct seats *s, const struct box *b);
struct box *seats_find(const struct seats *s, struct str id); /* or NULL */
void seats_end(struct seats *s, struct str id);               /* harmless when it has none */
/* Of those that were born before `births`, only these are there still. */
void seats_keep_only(struct seats *s, const struct map *ids, uint64_t births);

bool box_id_is_good(struct str id);

#endif

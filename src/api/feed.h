/* SPDX-License-Identifier: Apache-2.0 */
/* Talks with edges about sandboxes over routes.sock: tells each what there is when it connects,
 * pushes what changes, answers their lookups, takes their reports of activity. */
#ifndef API_FEED_H
#define API_FEED_H

#include "base/err.h"
#include "io/loop.h"

struct domain;
struct feed;
struct sandbox;

enum {
    FEED_PEERS_MAX = 256,       /* loops of all edges together */
    FEED_SNAPSHOT_MAX = 65536,  /* sandboxes told to one that connects; it asks for others */
    FEED_ID_MAX = 63,           /* bytes of a sandbox's id that edges take */
    FEED_SNAPSHOT_STEP = 256,   /* of which one turn tells so many, */
    FEED_SNAPSHOT_PAUSE_MS = 1, /* and the next one later: others wait too */
};

/* Takes the listening descriptor; -1: nobody will connect. feed_serve() when the domain is there.
 */
must_check int feed_new(struct loop *l, int fd, struct feed **out, struct err *err);
void feed_serve(struct feed *f, struct domain *d);
void feed_free(struct feed *f);

/* A domain hook; ctx is the feed. */
void feed_push(void *ctx, const struct sandbox *s);

enum feed_number {
    FEED_CONTROL,
    FEED_SANDBOX,
    FEED_REFUSED,
    FEED_CONNECTIONS,
    FEED_ROUTES,
    FEED_REFUSED_PEERS,
    FEED_REFUSED_SANDBOXES,
    FEED_STALLED,
    FEED_WOKEN,
    FEED_WAKE_FAILURES,
    FEED_NUMBERS,
};

enum {
    FEED_CLASSES = 5, /* of routes, as enum traffic_class of edge */
    FEED_STATUSES = 6,
};

/* Where the lists of struct route_counters begin in `cells`. */
enum feed_cell {
    FEED_ANSWERS = 0,
    FEED_RUNNING = FEED_ANSWERS + FEED_CLASSES * FEED_STATUSES,
    FEED_BYTES = FEED_RUNNING + FEED_CLASSES,
    FEED_TOOK = FEED_BYTES + FEED_CLASSES * 2,
    FEED_CELLS = FEED_TOOK + FEED_CLASSES,
};

/* What all connected loops of edges told last, together. A loop that starts again begins at zero,
 * which scrapers understand as a reset. */
struct feed_counters {
    uint64_t loops;
    uint64_t numbers[FEED_NUMBERS];
    uint64_t cells[FEED_CELLS];
};

struct feed_counters feed_counters(const struct feed *f);

#endif

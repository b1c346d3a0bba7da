/* SPDX-License-Identifier: Apache-2.0 */
/* Talks with edges about sandboxes over routes.sock: answers their lookups, pushes what changes,
 * takes their reports of activity. */
#ifndef API_FEED_H
#define API_FEED_H

#include "base/err.h"
#include "io/loop.h"

struct domain;
struct feed;
struct sandbox;

enum {
    FEED_PEERS_MAX = 256, /* loops of all edges together */
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

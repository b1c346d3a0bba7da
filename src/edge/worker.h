/* SPDX-License-Identifier: Apache-2.0 */
/* One loop of edge and all it owns. Internal to src/edge. */
#ifndef EDGE_WORKER_H
#define EDGE_WORKER_H

#include <pthread.h>

#include "edge/counts.h"
#include "edge/dial.h"
#include "edge/doors.h"
#include "edge/edge.h"
#include "edge/entry.h"
#include "edge/place.h"
#include "edge/pool.h"
#include "edge/routes.h"
#include "edge/traffic.h"

struct worker {
    struct loop *loop;
    const struct edge_config *config;
    size_t index;                /* among the loops */
    struct target_rule rules[3]; /* by enum target_plane: which listener a request came by */
    struct doors doors;
    struct worker *siblings; /* all loops, this one too */
    size_t sibling_count;
    struct http_server *server;
    struct entry entry;
    struct routes routes;
    struct dialer dialer;
    struct pool pool;
    struct list active; /* struct proxy in use */
    struct list spare;  /* struct proxy to be used again */
    size_t spare_count;
    struct traffic traffic;
    struct place place;
    uint64_t request_count;   /* named ones */
    struct counts *peers;     /* connections of each address; of all loops */
    struct counts *sandboxes; /* requests of each sandbox; the same */
    /* private to edge.c */
    struct route_counters counters;
    struct timer counting;
    struct edge *edge;
    pthread_t thread;
    bool has_thread;
    struct letter order, retirement, reply, renewal;
};

/* A connection was accepted by it, for whichever loop; one that it served has ended. */
void worker_entered(struct worker *w);
void worker_left(struct worker *w);

#endif

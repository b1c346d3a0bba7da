/* SPDX-License-Identifier: Apache-2.0 */
/* One loop of edge and all it owns. Internal to src/edge. */
#ifndef EDGE_WORKER_H
#define EDGE_WORKER_H

#include <pthread.h>

#include "edge/counts.h"
#include "edge/dial.h"
#include "edge/edge.h"
#include "edge/pool.h"
#include "edge/routes.h"
#include "edge/traffic.h"
#include "io/socket.h"

enum {
    TAG_BITS = 2,   /* a connection's tag: its enum target_plane, above that its slot in `peers` */
    EDGE_DOORS = 2, /* for clients of both planes or of control, for those of the data plane */
};

/* A listener and what comes in by it. */
struct door {
    struct worker *worker;
    struct listener listener;
    enum target_plane plane;
    bool is_open;
};

struct worker {
    struct loop *loop;
    const struct edge_config *config;
    size_t index;                /* among the loops */
    struct target_rule rules[3]; /* by enum target_plane: which listener a request came by */
    struct door doors[EDGE_DOORS];
    struct http_server *server;
    struct routes routes;
    struct dialer dialer;
    struct pool pool;
    struct list active; /* struct proxy in use */
    struct list spare;  /* struct proxy to be used again */
    size_t spare_count;
    struct traffic traffic;
    uint64_t request_count;   /* named ones */
    struct counts *peers;     /* connections of each address; of all loops */
    struct counts *sandboxes; /* requests of each sandbox; the same */
    /* private to edge.c */
    struct route_counters counters;
    struct timer counting;
    struct edge *edge;
    pthread_t thread;
    bool has_thread;
    struct letter order, reply;
};

#endif

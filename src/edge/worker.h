/* SPDX-License-Identifier: Apache-2.0 */
/* One loop of edge and all it owns. Internal to src/edge. */
#ifndef EDGE_WORKER_H
#define EDGE_WORKER_H

#include <pthread.h>

#include "edge/dial.h"
#include "edge/edge.h"
#include "edge/pool.h"
#include "edge/routes.h"
#include "io/socket.h"

struct worker {
    struct loop *loop;
    const struct edge_config *config;
    struct str domain;
    struct listener listener;
    struct http_server *server;
    struct routes routes;
    struct dialer dialer;
    struct pool pool;
    struct list active; /* struct proxy in use */
    struct list spare;  /* struct proxy to be used again */
    size_t spare_count;
    bool is_listening;
    /* private to edge.c */
    struct route_counters counters;
    struct timer counting;
    struct edge *edge;
    pthread_t thread;
    bool has_thread;
    struct letter order, report;
};

#endif

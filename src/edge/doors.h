/* SPDX-License-Identifier: Apache-2.0 */
/* How clients get into edge and out of it: the listeners of each loop, and which loop serves what
 * comes in. Whoever accepts a connection hands it to the loop that has the fewest, so that a busy
 * loop does not get more because the kernel's hash says so. Used by edge.c and body.c. */
#ifndef EDGE_DOORS_H
#define EDGE_DOORS_H

#include <pthread.h>

#include "edge/target.h"
#include "io/socket.h"

struct edge_config;
struct worker;

enum {
    TAG_BITS = 4,   /* a connection's tag: its enum target_plane, above that its slot in `peers` */
    TAG_STREAM = 4, /* it is a stream of an HTTP/2 connection, which has the slot */
    TAG_SECURE = 8, /* TLS ends here */
    DOORS_MAX = 2,  /* for clients of both planes or of control, for those of the data plane */
};

/* A listener and what comes in by it. */
struct door {
    struct worker *worker;
    struct listener listener;
    enum target_plane plane;
    bool is_open;
};

/* The connections of one loop. */
struct doors {
    struct door at[DOORS_MAX];
    _Atomic uint32_t load; /* connections, tunnels, and what is on its way to it */
    /* What other loops accepted for this one. */
    pthread_mutex_t mutex;
    struct list arrivals;
    struct letter bell;
    bool has_rung;
};

void doors_init(struct doors *d);
/* Of the loop with that index. Listeners are shared when there are fewer than loops. */
must_check int doors_open(struct worker *w, struct err *err);
/* No more are accepted. Those on their way are still served. */
void doors_shut(struct worker *w);
/* When no thread runs any more: closes what never arrived. */
void doors_done(struct worker *w);

/* A connection has ended: `slot` is its number in `peers`. */
void doors_leave(struct worker *w, uint32_t slot);

#endif

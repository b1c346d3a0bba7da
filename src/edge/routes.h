/* SPDX-License-Identifier: Apache-2.0 */
/* What this loop knows about sandboxes: a bounded cache of routes, filled by what api tells when we
 * connect and whenever something changes, and by asking on a miss. It is kept while api is away, so
 * the data plane goes on. As soon as api is back it tells all again, and nothing that is older than
 * that is used: a request for it waits until api has said what it is now. */
#ifndef EDGE_ROUTES_H
#define EDGE_ROUTES_H

#include "base/map.h"
#include "edge/asks.h"
#include "edge/link.h"
#include "edge/target.h"
#include "ipc/route_messages.h"

enum {
    ROUTES_MAX = 65536,       /* cached; the least recently used leaves first */
    ROUTE_WAITERS_MAX = 4096, /* requests waiting for an answer */
    ROUTE_WAIT_MS = 5000,     /* then 503 */
    ROUTE_ACTIVE_MS = 500,    /* between two reports of activity about one sandbox */
    ROUTE_TOKEN_MAX = 256,    /* longer tokens and masks make a route unusable */
};

struct route_entry {
    struct list_node node;                   /* by use */
    uint32_t state;                          /* enum route_state */
    uint64_t generation;                     /* of the snapshot since which we know it */
    uint64_t active_ms;                      /* last report of activity; 0: none */
    bool is_idle;                            /* activity is to be reported */
    bool may_resume;                         /* by a request, while paused */
    struct str id, traffic_token, mask_host; /* in `text` */
    char text[];
};

enum route_outcome {
    ROUTE_IS_THERE,
    ROUTE_IS_MISSING,
    ROUTE_NO_ANSWER,
};

/* `route` is set when there, and valid during the call. */
typedef void route_fn(void *ctx, enum route_outcome outcome, const struct route_entry *route);

struct route_wait {
    struct list_node node;
    route_fn *fn; /* NULL while not waiting */
    void *ctx;
    struct timer deadline;
    struct routes *routes;
    const char *id; /* the waiter's, for as long as it waits */
};

struct routes {
    struct link link;
    struct asks asks; /* over the same channel */
    struct loop *loop;
    struct map by_id;   /* struct route_entry */
    struct list by_use; /* oldest first */
    struct list waiting;
    size_t waiting_count;
    uint64_t generation; /* counts snapshots */
    uint64_t next_seq;
    void (*on_gone)(void *ctx, struct str id); /* the sandbox ended or cannot be used now */
    void *ctx;
};

void routes_start(struct routes *r, struct loop *l, const char *path,
                  void (*on_gone)(void *ctx, struct str id), void *ctx);
void routes_stop(struct routes *r);

/* From the cache; NULL: not known, or not known to be true any more. */
const struct route_entry *routes_get(struct routes *r, const char *id);
/* Ask api; fn is called once, from the loop. */
void routes_ask(struct routes *r, struct route_wait *w, const char *id, route_fn *fn, void *ctx);
void routes_forget(struct route_wait *w); /* stop waiting; harmless when not */
/* A request runs in it: tell api if it wants to know and was not told just now. */
void routes_active(struct routes *r, const char *id);
/* node or api say that there is no such sandbox. */
void routes_drop(struct routes *r, const char *id);

#endif

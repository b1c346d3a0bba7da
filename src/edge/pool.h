/* SPDX-License-Identifier: Apache-2.0 */
/* Idle keep-alive connections of one loop, by sandbox and port; api's are kept under the empty id.
 * Bounded per sandbox and in total; closed after POOL_IDLE_MS and when their sandbox ends. */
#ifndef EDGE_POOL_H
#define EDGE_POOL_H

#include "base/map.h"
#include "http/client.h"

enum {
    POOL_SITE_MAX = 64, /* idle connections to one sandbox */
    POOL_MAX = 2048,
    POOL_IDLE_MS = 30000,
};

struct pool {
    struct loop *loop;
    struct map sites;   /* id -> struct pool_site */
    struct list by_age; /* struct pool_conn, oldest first */
    size_t count;
    struct timer sweep;
};

void pool_init(struct pool *p, struct loop *l);
void pool_done(struct pool *p);

/* The most recently used idle connection, now the caller's; or NULL. */
struct http_conn *pool_take(struct pool *p, struct str id, uint16_t port);
/* Takes it: kept when it is idle and there is room, freed otherwise. */
void pool_give(struct pool *p, struct str id, uint16_t port, struct http_conn *conn);
void pool_drop(struct pool *p, struct str id);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The edge role: the only listener. Decides control plane or data plane from the request head and
 * relays bytes both ways with bounded memory. N threads with a loop each that share nothing: the
 * first runs on the caller's loop, the others on their own. Used by src/main/role_edge.c. */
#ifndef EDGE_EDGE_H
#define EDGE_EDGE_H

#include "base/err.h"
#include "http/server.h"
#include "io/loop.h"

enum { EDGE_LOOPS_MAX = 8 };

struct edge_config {
    const int *listen_fds; /* bound with SO_REUSEPORT, one per loop if possible; taken */
    size_t listen_count;
    const int *data_fds; /* the same for the data plane alone; then the first are for control */
    size_t data_count;   /* 0: one listener for both */
    unsigned loops;      /* 0: one per core, at most EDGE_LOOPS_MAX */
    const char *api_socket, *routes_socket, *dial_socket; /* paths, borrowed */
    const char *domain;                                   /* "" = none */
    unsigned gone_status;      /* of a sandbox that is gone: 410, or 0 for E2B's 502 (RX-07) */
    struct http_limits limits; /* of each loop */
    const char *certificates;  /* CERT:KEY,…; "" or NULL: no TLS */
    bool is_tls_only, is_tls_1_3_only;
    bool has_h2;
    uint32_t ticket_ms; /* so often the keys of TLS tickets are renewed; 0: each 12 hours. Who has a
                         * ticket of the old ones shakes hands in full */
    uint32_t api_answer_ms;   /* 0: the default, PROXY_API_ANSWER_MS */
    uint32_t transition_ms;   /* a request waits for a sandbox that moves; 0: 409 at once (RX-08) */
    uint32_t resume_ms;       /* and for one that it resumes; 0: never */
    uint32_t upload_stall_ms; /* an upload without a byte is given up; 0: never */
    uint32_t peer_max;        /* connections of one address; 0: no limit */
    uint32_t sandbox_max;     /* requests and tunnels of one sandbox; 0: no limit */
    bool has_paths;           /* path routing, see target.h */
    bool has_access_log;
    bool names_requests; /* of the control plane: X-Request-Id for api, and a log line with it for
                          * one that api did not answer */
};

struct edge;

unsigned edge_loops(unsigned configured); /* what `loops` means on this machine */

/* Blocks SIGPIPE-like surprises in no way: signals are the caller's business, and must be blocked
 * before, so that the threads inherit it. */
must_check int edge_new(struct loop *l, const struct edge_config *config, struct edge **out,
                        struct err *err);
/* Stop accepting, let running requests end, then call on_done on the caller's loop. */
void edge_drain(struct edge *e, loop_fn *on_done, void *ctx);
/* The same for one that another edge replaces: nobody is cut off. A connection that waits for a
 * request has one more answered, which ends it; tunnels stay. Once; edge_drain() may follow, with
 * an on_done of its own. */
void edge_retire(struct edge *e, loop_fn *on_done, void *ctx);
/* Cuts what is left and joins the threads. */
void edge_free(struct edge *e);

#endif

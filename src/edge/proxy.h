/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way through edge: find the route, get a connection, relay both halves.
 * Internal to src/edge: edge.c starts proxies, relay.c moves their bytes. */
#ifndef EDGE_PROXY_H
#define EDGE_PROXY_H

#include "edge/pages.h"
#include "edge/worker.h"
#include "io/relay.h"

enum {
    PROXY_DIALS_MAX = 5,      /* a server in the sandbox may be about to listen */
    PROXY_DIAL_STEP_MS = 100, /* pauses of 100, 200, 300, 400 ms */
    PROXY_API_STEP_MS = 50,   /* api's backlog is full or its socket is not there yet */
    PROXY_API_WAIT_MS = 3000,
    PROXY_API_ANSWER_MS = 240000, /* without a head behind the last byte of the request: 504 */
    PROXY_ACTIVE_MS = 1000,       /* between two reports about one long request */
    PROXY_SPARE_MAX = 256,
    WAKE_MAX = 3, /* times that one request waits for its sandbox (semantics.md 3.6) */
    WAKE_SIGNER_MS = 5000,
};

/* From target to end; the names are what is being waited for. */
struct proxy {
    struct list_node node; /* in worker's active or spare */
    struct worker *worker;
    struct exchange *x;     /* NULL for a tunnel, and when the client is gone */
    struct http_conn *conn; /* NULL while there is none */
    struct relay *tunnel;
    struct target target;
    struct str mask_host;  /* in the exchange's arena */
    struct str request_id; /* the same; empty: requests are not named */
    struct route_wait route_wait;
    struct ask ask;
    struct dial dial;
    struct timer stall; /* the next look at an upload */
    struct str message; /* for the page that is about to be answered */
    uint64_t began_us, bytes_in, bytes_out;
    uint64_t fed_ms;       /* when the client last gave a byte of its upload */
    uint32_t sandbox_slot; /* in counts */
    uint32_t peer_slot;    /* of a tunnel's client */
    unsigned status, wakes;
    enum traffic_class class;
    struct timer active; /* idle mode: until the next report that it still runs */
    struct timer pause;  /* before the next dial; then until api's answer */
    uint64_t started_ms;
    unsigned dials;
    bool has_client;        /* its connection is counted here, not by the server */
    bool is_verified;       /* a signature said that it may use envd */
    bool is_pooled;         /* conn has served before: its peer may have closed it meanwhile */
    bool has_retried;       /* on a fresh connection after such a one failed */
    bool has_head;          /* of the answer */
    bool has_sent_body;     /* bytes of the request body are gone: no second try */
    bool wants_body;        /* the client's half was asked for */
    bool has_request_end;   /* request body complete */
    bool is_upload_stopped; /* upstream is slow */
    bool is_answer_stopped; /* client is slow */
};

void proxy_start(struct worker *w, struct exchange *x, const struct target *t);
/* The server ends: cut everything. */
void proxy_cut_all(struct worker *w);

/* For wake.c, upstream.c and body.c. */
void proxy_route(struct proxy *p); /* look up the route of its target, go on with that */
/* What became of it, once: while its exchange is valid. `end` as in traffic.h. */
void proxy_note(struct proxy *p, const char *end);
void proxy_become(struct proxy *p, enum traffic_class class); /* for counts */
void proxy_page(struct proxy *p, enum page_kind kind);        /* answers and ends */
void proxy_api_error(struct proxy *p, unsigned status, const char *message);
void proxy_end(struct proxy *p); /* releases all it holds */

/* wake.c: go on with proxy_route() when the signer is known, when the sandbox runs. */
void wake_find_signer(struct proxy *p);
void wake_sandbox(struct proxy *p, const struct route_entry *route);

/* upstream.c: get a connection and send the request on it. */
void upstream_connect(struct proxy *p);
void upstream_failed(struct proxy *p, bool is_fresh); /* second try, error answer or cut */
void upstream_await_api(struct proxy *p);             /* its time to answer starts (again) */
void upstream_release(struct proxy *p);               /* the call is over: pool or close */

/* body.c: the two half-streams. */
extern const struct call_events body_events;
void body_begin(struct proxy *p); /* after the call went out: let the client's half flow */

/* Answer from edge itself, without a proxy. Returns the bytes of the body. */
size_t answer_page(struct exchange *x, enum page_kind kind, const struct page_facts *f);

#endif

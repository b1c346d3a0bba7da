/* SPDX-License-Identifier: Apache-2.0 */
/* What api tells edge about sandboxes, on routes.sock (edge connects, one channel per loop).
 *
 * On connect api sends nothing; edge asks ROUTE_LOOKUP on a miss and caches the answer; api pushes
 * ROUTE_PUT when a route that any edge may have cached changes, ROUTE_GONE when a sandbox ends.
 * A new sandbox is pushed before its 201 leaves; an edge that has not read the push yet asks. */
#ifndef IPC_ROUTE_MESSAGES_H
#define IPC_ROUTE_MESSAGES_H

#include "ipc/channel.h"

enum route_message {
    ROUTE_LOOKUP = 1, /* struct route_lookup: edge -> api */
    ROUTE_FOUND,      /* struct route: answer, seq set */
    ROUTE_MISSING,    /* struct route_lookup: answer, no such sandbox */
    ROUTE_PUT,        /* struct route: push, seq 0 */
    ROUTE_GONE,       /* struct route_lookup: push, seq 0 */
    ROUTE_ACTIVE,     /* struct route_lookup: edge -> api, requests run in an idle-mode sandbox */
    ROUTE_COUNTERS,   /* struct route_counters: edge -> api, every few seconds, per loop */
    ROUTE_MESSAGE_COUNT,
};

enum route_state {
    ROUTE_RUNNING = 1,
    ROUTE_TRANSITION, /* starting, pausing, resuming: 409 */
    ROUTE_PAUSED,
};

struct route_lookup {
    uint64_t seq;
    struct str id;
};

struct route {
    uint64_t seq;
    struct str id;
    uint32_t state;
    struct str traffic_token; /* empty: every port is public */
    struct str mask_host;     /* empty: Host is passed as it came */
    bool is_idle;             /* its end waits for activity: report it */
};

/* What one loop of edge did since it started. */
struct route_counters {
    uint64_t control;     /* requests for the control plane */
    uint64_t sandbox;     /* for a port of a sandbox */
    uint64_t refused;     /* answered by edge from the head alone */
    uint64_t connections; /* of clients, now */
    uint64_t routes;      /* remembered, now */
};

extern const struct channel_protocol route_protocol;

#endif

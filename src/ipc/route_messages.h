/* SPDX-License-Identifier: Apache-2.0 */
/* What api tells edge about sandboxes, on routes.sock (edge connects, one channel per loop).
 *
 * On connect api sends a snapshot: ROUTE_SNAPSHOT, a ROUTE_PUT for each sandbox, ROUTE_COMPLETE.
 * Updates come in between and behind it: ROUTE_PUT when a route changes, ROUTE_GONE when a sandbox
 * ends. From ROUTE_SNAPSHOT on an edge trusts nothing that it knew before: it asks ROUTE_LOOKUP for
 * what it has not been told since, and caches the answer. A new sandbox is pushed before its 201
 * leaves; an edge that has not read the push yet asks. */
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
    ROUTE_WAKE,   /* struct route_wake: edge -> api, a request waits for one that is not running */
    ROUTE_AWAKE,  /* struct route_answer: answer, when it runs or will not */
    ROUTE_SIGNED, /* struct route_signed: edge -> api, whose token made this signature? */
    ROUTE_SIGNER, /* struct route_answer: answer, id is whose */
    ROUTE_SNAPSHOT, /* struct route_lookup, empty: push, all that is known follows */
    ROUTE_COMPLETE, /* struct route_lookup, empty: push, that was all */
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
    bool may_resume;          /* paused, and a request resumes it (ROUTE_WAKE) */
};

/* Waits for a sandbox that is in transition, resumes one that is paused and may be resumed by
 * traffic. The token is checked before anything is done (semantics.md 3.5). */
struct route_wake {
    uint64_t seq;
    struct str id;
    uint32_t port;
    struct str access_token; /* X-Access-Token of a request to envd's port */
    bool is_verified;        /* instead: ROUTE_SIGNED said that it is signed for this sandbox */
};

/* What a signed URL of /files says (wire.md 3.12), decoded. */
struct route_signed {
    uint64_t seq;
    struct str id; /* only that sandbox is looked at; empty: all */
    struct str path, operation, user, signature, expiration;
    bool has_expiration;
};

/* kind ERR_NONE: yes. To ROUTE_WAKE else: ERR_NOT_FOUND there is none, ERR_DENIED wrong token,
 * ERR_CONFLICT paused and not to be resumed by traffic, ERR_LIMIT the team may run no more (`text`
 * is for the client), ERR_UNSUPPORTED and others: it could not be resumed. To ROUTE_SIGNED else:
 * ERR_NOT_FOUND nobody's, ERR_DENIED expired, ERR_LIMIT too many questions at once. */
struct route_answer {
    uint64_t seq;
    struct str id;
    uint32_t kind; /* enum err_kind */
    struct str text;
};

enum {
    ROUTE_CLASS_COUNT = 5,  /* enum traffic_class of edge */
    ROUTE_STATUS_COUNT = 6, /* by first digit; 0: the client left before an answer */
};

/* What one loop of edge did since it started. */
struct route_counters {
    uint64_t control;          /* requests for the control plane */
    uint64_t sandbox;          /* for a port of a sandbox */
    uint64_t refused;          /* answered by edge from the head alone */
    uint64_t connections;      /* of clients, now */
    uint64_t routes;           /* remembered, now */
    struct codec_list answers; /* of uint64_t: ROUTE_STATUS_COUNT for each class */
    struct codec_list running; /* of uint64_t: requests and tunnels now, for each class */
    struct codec_list bytes;   /* of uint64_t: from clients and to clients, for each class */
    struct codec_list took_us; /* of uint64_t: time of all answers, for each class */
    uint64_t refused_peers, refused_sandboxes; /* by a limit of connections */
    uint64_t stalled;                          /* uploads that were given up */
    uint64_t woken, wake_failures;             /* requests that waited for their sandbox */
};

extern const struct channel_protocol route_protocol;

#endif

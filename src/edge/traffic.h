/* SPDX-License-Identifier: Apache-2.0 */
/* What was answered: counted for /metrics, and one JSON line each in the access log where that is
 * on. Labels are bounded: a class and the first digit of a status. */
#ifndef EDGE_TRAFFIC_H
#define EDGE_TRAFFIC_H

#include "edge/target.h"
#include "http/server.h"
#include "io/loop.h"
#include "ipc/route_messages.h"

enum traffic_class {
    TRAFFIC_CONTROL, /* relayed to api */
    TRAFFIC_ENVD,    /* to the guest daemon */
    TRAFFIC_PORT,    /* to a server in a sandbox */
    TRAFFIC_TUNNEL,  /* connections that were upgraded; their bytes are not counted */
    TRAFFIC_REFUSED, /* answered by the head alone: bad names, private routes */
};

enum {
    TRAFFIC_LINE_MAX = 8192,  /* bytes of a line of the access log */
    TRAFFIC_BATCH = 64 << 10, /* of lines that wait for the end of the turn */
};

struct traffic {
    struct loop *loop;
    bool has_log; /* the access log is on */
    struct buf lines;
    struct task flush;
    uint64_t answers[ROUTE_CLASS_COUNT][ROUTE_STATUS_COUNT];
    uint64_t running[ROUTE_CLASS_COUNT];
    uint64_t bytes[ROUTE_CLASS_COUNT][2];
    uint64_t took_us[ROUTE_CLASS_COUNT];
    uint64_t refused_peers, refused_sandboxes, stalled, woken, wake_failures;
};

/* One request, as far as it got. */
struct traffic_note {
    enum traffic_class class;
    unsigned status; /* 0: the client left before an answer */
    uint64_t bytes_in, bytes_out;
    uint64_t took_us;
    struct str request_id; /* empty: not named */
    struct str sandbox_id; /* empty: control plane */
    uint16_t port;
    const char *end; /* why it ended early: "client", "server"; NULL: it is complete */
};

void traffic_init(struct traffic *t, struct loop *l, bool has_log);
void traffic_done(struct traffic *t); /* writes what waits */

enum traffic_class traffic_class_of(const struct target *t);
/* Call it while the exchange is valid: its head and peer are in the line, its query never is, as a
 * signature may be in it. */
void traffic_note(struct traffic *t, struct exchange *x, const struct traffic_note *n);
/* Its part of what api is told; lists point into `t`. */
void traffic_report(struct traffic *t, struct route_counters *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes use and teams do, over time. In memory only: a new api process begins anew. Node
 * samples each sandbox every few seconds, idle ones less often (node/sampler.h), and sends what it
 * saw. Users: node_client.c, event_log.c; api/metrics.c reads. */
#ifndef DOMAIN_METRICS_H
#define DOMAIN_METRICS_H

#include "base/arena.h"
#include "domain/event.h"
#include "ipc/node_messages.h"

struct sandbox;
struct team;

enum {
    METRICS_TEAM_MS = 5 * 1000, /* between two points of a team that does something */
};

struct metrics_point {
    int64_t at_ms;
    double cpu_percent; /* of all its cores together: 0 to 100 (wire.md 2.7) */
    uint64_t memory_bytes, cache_bytes, disk_bytes;
};

struct metrics_range {
    int64_t from_ms, until_ms; /* inclusive; until 0: open */
};

/* Points of a sandbox, oldest first, in the arena; NULL when it is too small. */
const struct metrics_point *metrics_sandbox(const struct domain *d, const struct sandbox *s,
                                            struct metrics_range range, struct arena *a,
                                            size_t *out_count);
/* The newest; false: none yet. */
bool metrics_latest(const struct domain *d, const struct sandbox *s, struct metrics_point *out);

struct team_point {
    int64_t at_ms;
    uint32_t concurrent; /* most sandboxes at once since the point before */
    double start_rate;   /* starts per second since then */
};

const struct team_point *metrics_team(const struct domain *d, const struct team *t,
                                      struct metrics_range range, struct arena *a,
                                      size_t *out_count);

struct metrics_top {
    const struct sandbox *sandbox;
    struct metrics_point point; /* its newest */
};

/* The sandboxes of all teams that use most processor time, then memory: at most `limit`, most
 * first. NULL when the arena is too small. */
const struct metrics_top *metrics_top(const struct domain *d, size_t limit, struct arena *a,
                                      size_t *out_count);

/* For domain.c, event_log.c, node_client.c's hooks. */
struct metrics *metrics_new(struct domain *d);
void metrics_free(struct metrics *m);
void metrics_usage(struct domain *d, const struct node_usage *u);
void metrics_note(struct domain *d, enum event_kind kind, struct str team_id, struct str subject);

#endif

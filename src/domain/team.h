/* SPDX-License-Identifier: Apache-2.0 */
/* Teams: who owns sandboxes and keys, and what they may have. Teams are never freed while the
 * domain lives.
 *
 * A team that is blocked may look and delete, but not make or change anything; one that is banned
 * may do nothing at all (semantics.md 2.9). Neither stops what runs: see team_kill_all(). */
#ifndef DOMAIN_TEAM_H
#define DOMAIN_TEAM_H

#include "base/arena.h"
#include "base/err.h"
#include "base/list.h"
#include "domain/record.h"

struct domain;
struct sandbox;

enum {
    TEAM_MEM_MAX = 16 << 10,
    TEAM_NAME_MAX = 63, /* a DNS-1123 label: [a-z0-9-], no '-' at its ends (AC-47) */
    TEAM_REASON_MAX = 256,
    TEAMS_MAX = 100000,
};

struct team {
    struct team_record r;
    struct arena mem;
    /* quota.c: of sandboxes that are starting, running or ending. */
    size_t slots_used;
    uint64_t vcpus_used, memory_mb_used, disk_mb_used;
    size_t builds_used;
    struct sandbox **sandboxes; /* sandbox_index.c: visible ones by start time, then id */
    size_t sandbox_count, sandbox_room;
    struct list keys;    /* struct key, of any status */
    size_t keys_pending; /* being made: they count for the limit already */
    bool is_changing;    /* a change waits for its commit */
};

/* By id, or by name when no id matches; NULL when unknown. */
struct team *team_find(const struct domain *d, struct str id_or_name);
/* The team that every installation has. */
struct team *team_default(const struct domain *d);
uint64_t team_timeout_max_s(const struct domain *d, const struct team *t);
bool team_name_is_good(struct str name);

/* t NULL: not done, as err says. */
typedef void team_done_fn(void *ctx, const struct team *t, const struct err *err);

/* Members that are not there stay as they are. */
struct team_change {
    bool has_tier, has_blocked, has_banned;
    struct str tier; /* a name of quota.h's tiers */
    bool is_blocked, is_banned;
    struct str block_reason; /* with has_blocked */
    bool has_limit[TEAM_LIMIT_COUNT];
    int64_t limits[TEAM_LIMIT_COUNT]; /* 0: back to the tier's */
};

/* ERR_INVALID for a bad name or change, ERR_EXISTS for a name that is taken. */
must_check int team_create(struct domain *d, struct str name, const struct team_change *change,
                           team_done_fn *fn, void *ctx, struct err *err);
/* ERR_CONFLICT while an earlier change of this team is being written. */
must_check int team_alter(struct domain *d, struct team *t, const struct team_change *change,
                          team_done_fn *fn, void *ctx, struct err *err);
/* By name; an array in the arena, NULL when it is too small. */
const struct team **team_list(const struct domain *d, struct arena *a, size_t *out_count);

/* Kills what the team has and can be seen; `fn` is called once, when each kill has ended. */
typedef void team_killed_fn(void *ctx, size_t killed, size_t failed);
void team_kill_all(struct domain *d, const struct team *t, team_killed_fn *fn, void *ctx);
/* Sandboxes that clients see as running. */
size_t team_running_count(const struct team *t);

#endif

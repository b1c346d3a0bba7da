/* SPDX-License-Identifier: Apache-2.0 */
/* Teams: who owns sandboxes and keys, and what they may have. Teams are never freed while the
 * domain lives. */
#ifndef DOMAIN_TEAM_H
#define DOMAIN_TEAM_H

#include "base/arena.h"
#include "base/err.h"
#include "domain/record.h"

struct domain;
struct sandbox;

enum {
    TEAM_MEM_MAX = 16 << 10,
};

struct team {
    struct team_record r;
    struct arena mem;
    size_t slots_used;          /* quota.c: sandboxes that are starting, running or ending */
    struct sandbox **sandboxes; /* sandbox_index.c: visible ones by start time, then id */
    size_t sandbox_count, sandbox_room;
};

/* By id, or by name when no id matches; NULL when unknown. */
struct team *team_find(const struct domain *d, struct str id_or_name);
/* The team that every installation has. */
struct team *team_default(const struct domain *d);
uint64_t team_timeout_max_s(const struct domain *d, const struct team *t);

#endif

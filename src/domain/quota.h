/* SPDX-License-Identifier: Apache-2.0 */
/* What a team may have at once. Reserved before anything else is done, released when the guest is
 * gone: never overshot, never leaked. One thread, so a check and its reservation are one step.
 *
 * A limit is the team's own, else that of its tier, else the server's configuration; 0 in all of
 * them means there is none. */
#ifndef DOMAIN_QUOTA_H
#define DOMAIN_QUOTA_H

#include "base/err.h"
#include "domain/team.h"

/* What operators call it: "sandboxes", "memoryMB". */
const char *quota_name(enum team_limit limit);
/* Of the team as a whole, so that there is a number in use; not of each sandbox. */
bool quota_is_shared(enum team_limit limit);
/* Is there a tier of this name? */
bool quota_is_tier(struct str name);
/* The limit in force; 0: none. */
uint64_t quota_limit(const struct domain *d, const struct team *t, enum team_limit limit);
uint64_t quota_max(const struct domain *d, const struct team *t); /* of TEAM_SANDBOXES */
/* What of it is taken now; 0 for limits of a single sandbox. */
uint64_t quota_used(const struct team *t, enum team_limit limit);

/* ERR_LIMIT with the exact text when the team has none left; ERR_INVALID when it may have no
 * sandbox of this size at all. */
must_check int quota_take(struct domain *d, struct sandbox *s, struct err *err);
/* The second alone. */
struct quota_size {
    int32_t cpu_count, memory_mb, disk_mb;
};

must_check int quota_check_size(const struct domain *d, const struct team *t,
                                const struct quota_size *size, struct err *err);
void quota_force(struct sandbox *s);        /* a sandbox that is already there, at start */
void quota_force_paused(struct sandbox *s); /* the same for one that is paused: its disk alone */
void quota_pause(struct sandbox *s);        /* it keeps its disk; harmless when it is so already */
void quota_give_back(struct sandbox *s);    /* harmless when it holds none */
/* quota_take() for one that is paused; harmless when it holds all. */
must_check int quota_resume(struct domain *d, struct sandbox *s, struct err *err);

/* A template build: ERR_LIMIT with the exact text when there are too many at once. */
must_check int quota_take_build(const struct domain *d, struct team *t, struct err *err);
void quota_give_back_build(struct team *t);

#endif

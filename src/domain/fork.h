/* SPDX-License-Identifier: Apache-2.0 */
/* Running copies of a sandbox that runs: a snapshot of it for the moment, and so many starts from
 * that. Each copy is a sandbox of its own, with its own id and tokens; metadata, network rules and
 * what happens at its end are those of the source. Users: api/snapshots.c. */
#ifndef DOMAIN_FORK_H
#define DOMAIN_FORK_H

#include "domain/sandbox.h"

enum {
    FORK_MAX = 100,
};

/* One of either. */
struct fork_result {
    const struct sandbox *sandbox; /* NULL: */
    struct err err;
};

/* err: not even the snapshot was made, results is NULL. Good during the call. */
typedef void fork_done_fn(void *ctx, const struct fork_result *results, size_t count,
                          const struct err *err);

struct fork_ask {
    size_t count; /* 1 to FORK_MAX */
    int64_t seconds;
    bool keeps_memory; /* else they are booted over its files */
    fork_done_fn *fn;
    void *ctx;
};

/* ERR_INVALID, ERR_NOT_FOUND, ERR_CONFLICT. */
must_check int sandbox_fork(struct domain *d, const struct team *team, struct str id,
                            const struct fork_ask *ask, struct err *err);
void fork_done(struct domain *d); /* the domain ends: forget them */

#endif

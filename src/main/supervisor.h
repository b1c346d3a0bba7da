/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the roles, starts them again when they die, replaces edge without losing a connection,
 * stops them in order. It also reaps what a dead node leaves behind: sandboxes become its children.
 * Used by serve.c. */
#ifndef MAIN_SUPERVISOR_H
#define MAIN_SUPERVISOR_H

#include "main/run.h"

enum {
    RESTART_MIN_MS = 50,
    RESTART_MAX_MS = 2000,
    RESTART_WELL_MS = 1000,   /* who lived this long is started again at once */
    REPLACE_READY_MS = 15000, /* who takes another's place has this long to serve */
    LEAVERS_MAX = 4,          /* replaced processes that still serve their connections */
};

struct supervisor;

/* on_ready: all roles serve, for the first time. What `home` points at and the configuration
 * outlive the supervisor; the environment is its own. */
must_check int supervisor_new(const struct run_home *home, const struct config *c,
                              loop_fn *on_ready, void *ctx, struct supervisor **out,
                              struct err *err);

/* `err` is NULL when the new process serves. */
typedef void replaced_fn(void *ctx, const struct err *err);
/* A new edge, of the program that is installed now, takes the listeners; then the old one accepts
 * no more and ends with its last connection, at most edge.drain_s later. When the new one does not
 * come to serve, nothing changes. ERR_CONFLICT: another one is under way; ERR_LIMIT: too many old
 * ones are left. `fn` is called once, unless it is forgotten. */
must_check int supervisor_replace_edge(struct supervisor *s, replaced_fn *fn, void *ctx,
                                       struct err *err);
void supervisor_forget(struct supervisor *s, const void *ctx);

/* One after the other, each with a deadline; then the loop stops. A second call does not wait. */
void supervisor_stop(struct supervisor *s);
bool supervisor_has_failed(const struct supervisor *s);
void supervisor_free(struct supervisor *s);

#endif

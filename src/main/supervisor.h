/* SPDX-License-Identifier: Apache-2.0 */
/* Starts the roles, starts them again when they die, stops them in order. It also reaps what
 * a dead node leaves behind: sandboxes become its children. Used by serve.c. */
#ifndef MAIN_SUPERVISOR_H
#define MAIN_SUPERVISOR_H

#include "main/layout.h"

enum {
    RESTART_MIN_MS = 50,
    RESTART_MAX_MS = 2000,
    RESTART_WELL_MS = 1000, /* who lived this long is started again at once */
};

struct supervisor;

/* on_ready: all roles serve, for the first time. Both arguments outlive the supervisor. */
must_check int supervisor_new(struct loop *l, const struct config *c, const struct layout *layout,
                              loop_fn *on_ready, void *ctx, struct supervisor **out,
                              struct err *err);
/* One after the other, each with a deadline; then the loop stops. A second call does not wait. */
void supervisor_stop(struct supervisor *s);
bool supervisor_has_failed(const struct supervisor *s);
void supervisor_free(struct supervisor *s);

#endif

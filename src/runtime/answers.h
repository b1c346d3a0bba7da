/* SPDX-License-Identifier: Apache-2.0 */
/* Answers given at the end of the turn, so that no caller is called back from inside its own call.
 * Used by runtime.c (refusals) and by drivers. answers_done() drops what was not delivered. */
#ifndef RUNTIME_ANSWERS_H
#define RUNTIME_ANSWERS_H

#include "runtime/runtime.h"

struct answers {
    struct loop *loop;
    struct list waiting;
    struct task task;
};

void answers_init(struct answers *a, struct loop *l);
void answers_done(struct answers *a);
/* err NULL is success; both are copied. */
void answers_started(struct answers *a, const char *id, const struct err *err,
                     runtime_started_fn *fn, void *ctx);
void answers_stopped(struct answers *a, const char *id, const struct err *err,
                     runtime_stopped_fn *fn, void *ctx);

#endif

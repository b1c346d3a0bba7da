/* SPDX-License-Identifier: Apache-2.0 */
/* One request to /execute: what is to run, and the answer, line by line.
 *
 * Lines wait in `pending` while the client is slow, and the kernel with them: one message of it at
 * most is held. A client that went away leaves the execution to its context, which has the kernel
 * interrupted. */
#ifndef INTERPRETER_EXECUTION_H
#define INTERPRETER_EXECUTION_H

#include "base/arena.h"
#include "http/server.h"
#include "interpreter/kernel.h"

enum { KEEPALIVE_MS = 5000 };

struct execution;

struct execution_events {
    void (*on_gone)(void *ctx, struct execution *e);  /* the client is */
    void (*on_drain)(void *ctx, struct execution *e); /* all lines so far are on their way */
};

struct execution {
    struct list_node node; /* the context's */
    struct exchange *x;    /* NULL: the client is gone */
    struct loop *loop;
    struct arena mem; /* of the job and the token */
    struct kernel_job job;
    struct str token;
    struct buf pending;
    struct timer keepalive;
    bool is_blocked, is_finished;
    const struct execution_events *events;
    void *ctx;
};

/* Starts the answer. The job and the token are in `mem`, which is taken. */
struct execution *execution_new(struct exchange *x, struct loop *l, const struct arena *mem,
                                const struct execution_events *events, void *ctx);
/* False: the client is behind, let the kernel wait for on_drain. */
bool execution_write(struct execution *e, struct str lines);
void execution_fail(struct execution *e, const char *name, const char *why);
/* No further line. It frees itself when all are on their way; nothing is told any more. */
void execution_finish(struct execution *e);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts: each has a language, a directory and, once it is needed, a kernel. Executions of one
 * context run one after another. A kernel that died is replaced when there is something to run. */
#ifndef INTERPRETER_CONTEXT_H
#define INTERPRETER_CONTEXT_H

#include "base/id.h"
#include "interpreter/execution.h"

enum {
    CONTEXTS_MAX = 100,
    WAITING_MAX = 200, /* executions of one context */
};

struct contexts;
struct context;

struct contexts_config {
    struct kernel_place place;
    const char *home; /* where contexts are that do not say */
    uint16_t envd_port;
};

/* The default contexts exist then, and the warm kernel starts. */
struct contexts *contexts_new(const struct contexts_config *config);
void contexts_free(struct contexts *cs);
/* Ready to run code: the warm kernel is, or could not be started. */
bool contexts_are_ready(const struct contexts *cs);

/* cwd: a directory; empty: home. ERR_INVALID, ERR_LIMIT. */
must_check int context_new(struct contexts *cs, const struct language *language, struct str cwd,
                           struct context **out, struct err *err);
/* What was not answered yet is, as aborted. */
void context_remove(struct context *c);
struct context *context_find(const struct contexts *cs, struct str id);
/* That of a language; it is made when there is none. */
must_check int context_default(struct contexts *cs, const struct language *language,
                               struct context **out, struct err *err);
struct context *context_next(const struct contexts *cs, const struct context *c); /* NULL: first */
const char *context_id(const struct context *c);
const char *context_cwd(const struct context *c);
const struct language *context_language(const struct context *c);

/* Takes a part of x's answer: all of it from here on. ERR_LIMIT: nothing was answered. */
must_check int context_execute(struct context *c, struct exchange *x, const struct arena *mem,
                               const struct kernel_job *job, struct str token, struct err *err);
/* A new kernel. `fn` is called when it is ready, or gone (is_good false). */
typedef void restart_fn(void *ctx, bool is_good);
void context_restart(struct context *c, restart_fn *fn, void *ctx);
/* Its caller is gone: `fn` is not called. */
void context_forget_restart(struct contexts *cs, const void *ctx);

#endif

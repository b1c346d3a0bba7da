/* SPDX-License-Identifier: Apache-2.0 */
/* Who runs what and when. Called by handlers.c; calls kernel.c and execution.c. */
#include "interpreter/context.h"

#include <stdio.h>
#include <sys/stat.h>

#include "interpreter/globals.h"

struct context {
    struct list_node node;
    struct contexts *of;
    char id[UUID_LEN + 1];
    const struct language *language;
    char *cwd;
    bool is_default, is_removed;
    struct kernel *kernel;
    char *why; /* the last kernel ended before it was ready */
    struct list waiting;
    size_t waiting_count;
    struct execution *running;
    struct globals_call *asking; /* for the variables that `running` needs */
    char *token;                 /* whose variables the kernel has */
    struct list restarts;
    struct task advance;
};

struct contexts {
    struct contexts_config config;
    struct list all;
    size_t count;
};

struct restart {
    struct list_node node;
    restart_fn *fn;
    void *ctx;
};

static void advance(void *ctx);

static void advance_later(struct context *c)
{
    if (!c->is_removed)
        task_defer(c->of->config.place.loop, &c->advance, advance, c);
}

static void tell_restarts(struct context *c, bool is_good)
{
    struct list_node *n;

    while ((n = list_pop(&c->restarts)) != NULL) {
        struct restart *r = container_of(n, struct restart, node);

        r->fn(r->ctx, is_good);
        free(r);
    }
}

/* The kernel goes, and what belongs to it. */
static void drop_kernel(struct context *c)
{
    kernel_free(c->kernel);
    c->kernel = NULL;
    free(take_ptr(&c->token));
}

static void end_running(struct context *c, const char *name, const char *why)
{
    struct execution *e = c->running;

    if (e == NULL)
        return;
    c->running = NULL;
    globals_cancel(c->asking);
    c->asking = NULL;
    if (name != NULL)
        execution_fail(e, name, why);
    execution_finish(e);
}

static void end_waiting(struct context *c, const char *name, const char *why)
{
    struct list_node *n;

    while ((n = list_pop(&c->waiting)) != NULL) {
        struct execution *e = container_of(n, struct execution, node);

        c->waiting_count--;
        execution_fail(e, name, why);
        execution_finish(e);
    }
}

/* What the kernel says. */

static void on_ready(void *ctx)
{
    struct context *c = ctx;

    free(take_ptr(&c->why));
    tell_restarts(c, true);
    advance_later(c);
}

static void on_output(void *ctx, struct str lines)
{
    struct context *c = ctx;

    if (c->running != NULL && !execution_write(c->running, lines))
        kernel_pause(c->kernel, true);
}

static void on_done(void *ctx)
{
    struct context *c = ctx;

    end_running(c, NULL, NULL);
    kernel_pause(c->kernel, false);
    advance_later(c);
}

/* One that died while it started is not tried again by itself: the next execution does. */
static void on_end(void *ctx, const char *why)
{
    struct context *c = ctx;
    bool was_ready = kernel_is_ready(c->kernel);

    free(take_ptr(&c->why));
    if (!was_ready)
        c->why = mem_text(why);
    end_running(c, "UnexpectedEndOfExecution", why);
    if (!was_ready)
        end_waiting(c, "UnexpectedEndOfExecution", why);
    drop_kernel(c);
    tell_restarts(c, false);
    advance_later(c);
}

static int start_kernel(struct context *c, struct err *err)
{
    static const struct kernel_events events = {on_ready, on_output, on_done, on_end};

    if (c->kernel != NULL)
        return 0;
    return kernel_new(&c->of->config.place, c->language, c->cwd, &events, c, &c->kernel, err);
}

/* Running. */

static void run(struct context *c, struct str globals)
{
    c->running->job.globals = globals;
    kernel_execute(c->kernel, &c->running->job);
    c->running->job.globals = (struct str){0};
}

static void on_globals(void *ctx, struct str json)
{
    struct context *c = ctx;

    c->asking = NULL;
    run(c, json);
}

/* Another token, another sandbox: this one is a copy of that where the kernel was started. */
static void run_next(struct context *c)
{
    struct execution *e = container_of(list_pop(&c->waiting), struct execution, node);
    bool is_known = c->token != NULL && str_is(e->token, c->token);

    c->waiting_count--;
    c->running = e;
    if (!is_known) {
        free(c->token);
        c->token = mem_text(e->token.len > 0 ? e->token.at : "");
        c->asking = globals_fetch(c->of->config.place.loop, c->of->config.envd_port, e->token,
                                  on_globals, c);
        if (c->asking != NULL)
            return;
    }
    run(c, (struct str){0});
}

static void advance(void *ctx)
{
    struct context *c = ctx;
    bool is_needed = list_first(&c->waiting) != NULL ||
                     (c->is_default && c->language->is_warm && c->why == NULL);
    struct err err;

    if (c->running != NULL || !is_needed)
        return;
    if (start_kernel(c, &err) != 0) {
        free(c->why);
        c->why = mem_text(err.text);
        end_waiting(c, "KernelNotStarted", err.text);
        return;
    }
    if (kernel_is_ready(c->kernel) && list_first(&c->waiting) != NULL)
        run_next(c);
}

/* What clients do. */

static void on_client_gone(void *ctx, struct execution *e)
{
    struct context *c = ctx;

    if (e != c->running) {
        list_remove(&e->node);
        c->waiting_count--;
        execution_finish(e);
    } else if (c->asking != NULL) {
        end_running(c, NULL, NULL);
        free(take_ptr(&c->token)); /* they were not told */
        advance_later(c);
    } else {
        kernel_pause(c->kernel, false);
        kernel_interrupt(c->kernel);
    }
}

static void on_client_drain(void *ctx, struct execution *e)
{
    struct context *c = ctx;

    if (e == c->running)
        kernel_pause(c->kernel, false);
}

int context_execute(struct context *c, struct exchange *x, const struct arena *mem,
                    const struct kernel_job *job, struct str token, struct err *err)
{
    static const struct execution_events events = {on_client_gone, on_client_drain};
    struct execution *e;

    if (c->waiting_count >= WAITING_MAX)
        return err_set(err, ERR_LIMIT, "%d executions wait for this context already", WAITING_MAX);
    e = execution_new(x, c->of->config.place.loop, mem, &events, c);
    e->job = *job;
    e->token = token;
    list_push(&c->waiting, &e->node);
    c->waiting_count++;
    if (c->running == NULL && kernel_is_ready(c->kernel))
        advance(c);
    else
        advance_later(c);
    return 0;
}

void context_restart(struct context *c, restart_fn *fn, void *ctx)
{
    struct restart *r = mem_zero(sizeof(*r));
    struct err err;

    *r = (struct restart){.fn = fn, .ctx = ctx};
    end_running(c, "ContextRestarting", "Context was restarted");
    tell_restarts(c, false); /* of an earlier one */
    drop_kernel(c);
    list_push(&c->restarts, &r->node);
    if (start_kernel(c, &err) != 0)
        tell_restarts(c, false);
}

static void forget(struct context *c, const void *ctx)
{
    struct list_node *next, *n = list_first(&c->restarts);

    for (; n != NULL; n = next) {
        struct restart *r = container_of(n, struct restart, node);

        next = list_next(&c->restarts, n);
        if (r->ctx != ctx)
            continue;
        list_remove(n);
        free(r);
    }
}

void context_forget_restart(struct contexts *cs, const void *ctx)
{
    for (struct context *c = context_next(cs, NULL); c != NULL; c = context_next(cs, c))
        forget(c, ctx);
}

/* The set of them. */

/* NULL: no memory. */
static char *path_of(const struct contexts *cs, struct str cwd)
{
    bool is_whole = cwd.len == 0 || cwd.at[0] == '/';
    char *path = NULL;

    if (cwd.len == 0)
        cwd = str_of(cs->config.home);
    if (asprintf(&path, "%s%s%.*s", is_whole ? "" : cs->config.home, is_whole ? "" : "/",
                 STR_ARG(cwd)) < 0)
        return NULL;
    return path;
}

static int check_cwd(const struct contexts *cs, struct str cwd, char **out, struct err *err)
{
    auto_free char *path = NULL;
    struct stat st;

    if (cwd.len > 0 && memchr(cwd.at, '\0', cwd.len) != NULL)
        return err_set(err, ERR_INVALID, "cwd has a NUL byte in it");
    path = path_of(cs, cwd);
    if (path == NULL || stat(path, &st) != 0)
        return err_set(err, ERR_INVALID, "cwd '%.150s' does not exist", path == NULL ? "" : path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_INVALID, "cwd '%.150s' is not a directory", path);
    *out = take_ptr(&path);
    return 0;
}

int context_new(struct contexts *cs, const struct language *language, struct str cwd,
                struct context **out, struct err *err)
{
    struct context *c;
    char *path;

    if (cs->count >= CONTEXTS_MAX)
        return err_set(err, ERR_LIMIT, "there are %d contexts already", CONTEXTS_MAX);
    if (check_cwd(cs, cwd, &path, err) != 0)
        return -1;
    c = mem_zero(sizeof(*c));
    *c = (struct context){.of = cs, .language = language, .cwd = path};
    id_uuid(c->id);
    list_push(&cs->all, &c->node);
    cs->count++;
    *out = c;
    return 0;
}

void context_remove(struct context *c)
{
    c->is_removed = true;
    task_cancel(&c->advance);
    end_running(c, "ExecutionAborted", "Context was removed");
    end_waiting(c, "ExecutionAborted", "Context was removed");
    drop_kernel(c);
    tell_restarts(c, false);
    list_remove(&c->node);
    c->of->count--;
    free(c->cwd);
    free(c->why);
    free(c);
}

struct context *context_next(const struct contexts *cs, const struct context *c)
{
    struct list_node *n = c == NULL ? list_first(&cs->all) : list_next(&cs->all, &c->node);

    return n == NULL ? NULL : container_of(n, struct context, node);
}

struct context *context_find(const struct contexts *cs, struct str id)
{
    for (struct context *c = context_next(cs, NULL); c != NULL; c = context_next(cs, c)) {
        if (str_is(id, c->id))
            return c;
    }
    return NULL;
}

int context_default(struct contexts *cs, const struct language *language, struct context **out,
                    struct err *err)
{
    for (struct context *c = context_next(cs, NULL); c != NULL; c = context_next(cs, c)) {
        if (c->is_default && c->language == language) {
            *out = c;
            return 0;
        }
    }
    if (context_new(cs, language, STR(""), out, err) != 0)
        return -1;
    (*out)->is_default = true;
    return 0;
}

const char *context_id(const struct context *c)
{
    return c->id;
}

const char *context_cwd(const struct context *c)
{
    return c->cwd;
}

const struct language *context_language(const struct context *c)
{
    return c->language;
}

bool contexts_are_ready(const struct contexts *cs)
{
    for (struct context *c = context_next(cs, NULL); c != NULL; c = context_next(cs, c)) {
        if (c->is_default && c->language->is_warm && c->why == NULL && !kernel_is_ready(c->kernel))
            return false;
    }
    return true;
}

struct contexts *contexts_new(const struct contexts_config *config)
{
    struct contexts *cs = mem_zero(sizeof(*cs));
    const struct language *l;
    struct context *c;
    struct err err;

    cs->config = *config;
    for (size_t i = 0; (l = language_at(i)) != NULL; i++) {
        if (!l->is_present_from_start || context_default(cs, l, &c, &err) != 0)
            continue;
        advance_later(c);
    }
    return cs;
}

void contexts_free(struct contexts *cs)
{
    struct context *c;

    if (cs == NULL)
        return;
    while ((c = context_next(cs, NULL)) != NULL)
        context_remove(c);
    free(cs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a sandbox; see sandbox_wake.h. What was waited for by others is begun here too. */
#include "domain/sandbox_wake.h"

#include "domain/domain_internal.h"

enum {
    ENVD_PORT_OF_GUEST = 49983,
};

struct waker {
    struct list_node node;
    bool may_resume; /* it has shown a token, or needs none */
    wake_fn *fn;
    void *ctx;
};

static bool has_right(const struct sandbox *s, const struct wake_right *right)
{
    if (s->team == NULL || s->team->r.is_banned || s->team->r.is_blocked)
        return false;
    if (right->port != ENVD_PORT_OF_GUEST || !s->r.is_secure || right->is_verified)
        return true;
    return s->r.access_token.len > 0 && str_eq_secret(right->access_token, s->r.access_token);
}

static void tell(struct sandbox *s, struct waker *w, const struct err *err)
{
    wake_fn *fn = w->fn;
    void *ctx = w->ctx;

    list_remove(&w->node);
    s->waker_count--;
    free(w);
    fn(ctx, err);
}

static void tell_all(struct sandbox *s, const struct err *err)
{
    struct list_node *at;

    while ((at = list_first(&s->wakers)) != NULL)
        tell(s, container_of(at, struct waker, node), err);
}

void wakers_done(struct sandbox *s)
{
    struct list_node *at;

    while ((at = list_pop(&s->wakers)) != NULL)
        free(container_of(at, struct waker, node));
    s->waker_count = 0;
}

void wakers_fail(struct sandbox *s, const struct err *err)
{
    struct err why = *err;

    tell_all(s, &why);
}

/* Those who may not resume it are told so; returns whether somebody is left who may. */
static bool sort_out(struct sandbox *s)
{
    struct list_node *at = list_first(&s->wakers);
    struct err err = {0};

    if (s->r.may_resume && s->r.is_files_only)
        err_set(&err, ERR_DENIED,
                "the sandbox is paused without its memory, which requests do not "
                "resume");
    else if (s->r.may_resume)
        err_set(&err, ERR_DENIED, "the request has no right to resume the sandbox");
    else
        err_set(&err, ERR_CONFLICT, "the sandbox is paused, and requests do not resume it");
    while (at != NULL) {
        struct waker *w = container_of(at, struct waker, node);

        at = list_next(&s->wakers, at);
        if (!w->may_resume || !s->r.may_resume || s->r.is_files_only)
            tell(s, w, &err);
    }
    return list_first(&s->wakers) != NULL;
}

static void on_turn(void *ctx)
{
    struct sandbox *s = ctx;

    if (sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_RUNNING) {
        tell_all(s, NULL);
        resumers_extend(s);
        if (s->state == SANDBOX_RUNNING && list_first(&s->pausers) != NULL)
            sandbox_pause_now(s);
    } else if (s->state == SANDBOX_PAUSED && (sort_out(s) || list_first(&s->resumers) != NULL)) {
        sandbox_resume_now(s);
    }
}

void wakers_tell(struct sandbox *s)
{
    struct err err = {0};

    if (list_first(&s->wakers) == NULL && list_first(&s->pausers) == NULL &&
        list_first(&s->resumers) == NULL)
        return;
    if (s->state == SANDBOX_KILLING || s->state == SANDBOX_KILLED) {
        err_set(&err, ERR_NOT_FOUND, "the sandbox has ended");
        tell_all(s, &err);
        ignore(sandbox_missing(&err, s->r.id));
        pausers_drop(s, &err);
        resumers_tell(s, &err);
        return;
    }
    task_defer(s->domain->loop, &s->wake_task, on_turn, s);
}

void sandbox_wake(struct domain *d, struct str id, const struct wake_right *right, wake_fn *fn,
                  void *ctx)
{
    struct sandbox *s = sandbox_find(d, id);
    struct err err = {0};
    struct waker *w;

    if (s == NULL || s->state == SANDBOX_KILLING || s->state == SANDBOX_KILLED) {
        err_set(&err, ERR_NOT_FOUND, "no such sandbox");
        fn(ctx, &err);
        return;
    }
    if (s->waker_count >= WAKERS_MAX) {
        err_set(&err, ERR_UNAVAILABLE, "too many requests wait for the sandbox");
        fn(ctx, &err);
        return;
    }
    w = mem_zero(sizeof(*w));
    *w = (struct waker){.may_resume = has_right(s, right), .fn = fn, .ctx = ctx};
    list_push(&s->wakers, &w->node);
    s->waker_count++;
    wakers_tell(s);
}

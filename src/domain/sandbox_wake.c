/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for a sandbox and resuming it; see sandbox_wake.h. */
#include "domain/sandbox_wake.h"

#include "base/clock.h"
#include "domain/domain_internal.h"
#include "domain/guest_start.h"
#include "domain/quota.h"

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

/* Resuming. A failure puts it back to paused: the next request tries again. */

static void fail(struct sandbox *s, const struct err *err)
{
    struct err why = *err;

    tell_all(s, &why); /* before the move, which would try for those who wait still */
    if (s->has_resume_slot)
        quota_give_back(s);
    s->has_resume_slot = false;
    if (s->state == SANDBOX_RESUMING)
        sandbox_move(s, SANDBOX_PAUSED);
}

static void on_stored(void *ctx, const struct err *err)
{
    struct op *commit = ctx;
    struct sandbox *s = sandbox_find(commit->domain, str_of(commit->id));

    op_end(commit, NULL, NULL);
    if (s == NULL || s->state != SANDBOX_RESUMING)
        return;
    if (err != NULL) {
        event_emit(s->domain, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
        fail(s, err);
        return;
    }
    s->end_stored_ms = s->r.end_at_ms;
    s->has_resume_slot = false;
    sandbox_move(s, SANDBOX_RUNNING);
}

/* The timeout of its creation, at least WAKE_TIMEOUT_LEAST (semantics.md 2.3). */
static int64_t end_of_life(const struct sandbox *s, int64_t now)
{
    int64_t seconds = s->r.timeout_s;
    int64_t max_s = (int64_t)team_timeout_max_s(s->domain, s->team);

    if (seconds == SANDBOX_NO_TIMEOUT)
        return SANDBOX_END_NEVER_MS;
    if (seconds < WAKE_TIMEOUT_LEAST)
        seconds = WAKE_TIMEOUT_LEAST;
    return now + (seconds < max_s ? seconds : max_s) * 1000;
}

static void on_resumed(void *ctx, struct str id, uint64_t took_us, const struct err *err)
{
    struct sandbox *s = sandbox_find(ctx, id);
    struct err why = {0};

    ignore((long)took_us);
    if (s == NULL || s->state != SANDBOX_RESUMING)
        return; /* it ended meanwhile; who waited was told */
    if (err != NULL) {
        fail(s, err);
        return;
    }
    s->r.end_at_ms = end_of_life(s, clock_wall_ms());
    if (sandbox_save(s, SANDBOX_RUNNING, &why) != 0) {
        fail(s, &why);
        return;
    }
    store_commit(s->domain->store, on_stored, op_new(s->domain, id, NULL, NULL));
}

static int resume_guest(struct sandbox *s, struct err *err)
{
    struct domain *d = s->domain;
    struct guest_start g;
    int result = guest_start_init(&g, &s->r, d->config.replay_kb, err);

    if (result == 0)
        result = node_client_resume(d->node, &g.m, WAKE_RESUME_MS, on_resumed, err);
    guest_start_done(&g);
    return result;
}

static void resume(struct sandbox *s)
{
    struct err err = {0};

    s->has_resume_slot = !s->has_slot && quota_take(s->domain, s, &err) == 0;
    if (!s->has_slot || resume_guest(s, &err) != 0) {
        fail(s, &err);
        return;
    }
    sandbox_move(s, SANDBOX_RESUMING);
}

/* Those who may not resume it are told so; returns whether somebody is left who may. */
static bool sort_out(struct sandbox *s)
{
    struct list_node *at = list_first(&s->wakers);
    struct err err = {0};

    if (s->r.may_resume)
        err_set(&err, ERR_DENIED, "the request has no right to resume the sandbox");
    else
        err_set(&err, ERR_CONFLICT, "the sandbox is paused, and requests do not resume it");
    while (at != NULL) {
        struct waker *w = container_of(at, struct waker, node);

        at = list_next(&s->wakers, at);
        if (!w->may_resume || !s->r.may_resume)
            tell(s, w, &err);
    }
    return list_first(&s->wakers) != NULL;
}

static void on_turn(void *ctx)
{
    struct sandbox *s = ctx;

    if (sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_RUNNING)
        tell_all(s, NULL);
    else if (s->state == SANDBOX_PAUSED && sort_out(s))
        resume(s);
}

void wakers_tell(struct sandbox *s)
{
    struct err err = {0};

    if (list_first(&s->wakers) == NULL)
        return;
    if (s->state == SANDBOX_KILLING || s->state == SANDBOX_KILLED) {
        err_set(&err, ERR_NOT_FOUND, "the sandbox has ended");
        tell_all(s, &err);
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

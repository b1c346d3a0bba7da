/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a sandbox, whatever the reason: closed for traffic at once, guest stopped, record
 * removed, those who wait told. A step that fails is repeated with backoff, never undone: a sandbox
 * that is being killed does not come back (CL-23). */
#include "domain/domain_internal.h"
#include "domain/quota.h"
#include "domain/sandbox.h"

enum {
    STOP_MS = 10 * 1000,
    KILL_RETRY_MIN_MS = 100,
    KILL_RETRY_MAX_MS = 30 * 1000,
    KILL_ALARM_AFTER = 5,    /* tries; then somebody is told */
    KILL_WAIT_MS = 5 * 1000, /* a caller waits no longer than the first try that ends behind it */
};

static void kill_try(void *ctx);

static void answer(struct sandbox *s, const struct err *err)
{
    struct list_node *at;

    while ((at = list_pop(&s->waiters)) != NULL)
        op_end(container_of(at, struct op, node), NULL, err);
    while ((at = list_pop(&s->creators)) != NULL) {
        struct op *creator = container_of(at, struct op, node);

        op_end(creator, NULL, &creator->err);
    }
}

static struct event event_of(const struct sandbox *s, enum event_kind kind, const char *detail)
{
    return (struct event){.kind = kind,
                          .subject = s->r.id,
                          .team_id = s->r.team_id,
                          .reason = s->kill_reason,
                          .detail = detail};
}

static void finish(struct sandbox *s, struct event_draft *killed)
{
    sandbox_move(s, SANDBOX_KILLED);
    quota_give_back(s);
    if (killed != NULL || s->team == NULL)
        s->domain->counters.killed[s->kill_reason]++;
    if (s->team == NULL) /* had no record to be removed with */
        event_emit(s->domain, event_of(s, EVENT_SANDBOX_KILLED, NULL));
    event_settle(s->domain, killed, true);
    answer(s, NULL);
    sandbox_free(s);
}

static void again(struct sandbox *s, const struct err *why)
{
    uint64_t delay = KILL_RETRY_MAX_MS;

    s->kill_tries++;
    s->domain->counters.kills_failed++;
    event_emit(s->domain, event_of(s, EVENT_SANDBOX_KILL_FAILED, why->text));
    if (s->kill_tries == 1 && s->team != NULL) {
        /* It takes longer, so a restart must go on with it. If this fails too, the end of its time
         * or the next request will. */
        ignore(sandbox_save(s, SANDBOX_KILLING, NULL));
        store_commit(s->domain->store, NULL, NULL);
    }
    if (s->kill_tries == KILL_ALARM_AFTER) {
        s->domain->counters.kill_alarms++;
        event_emit(s->domain, event_of(s, EVENT_SANDBOX_KILL_ALARM, why->text));
    }
    if (s->kill_tries >= KILL_ALARM_AFTER ||
        loop_now_ms(s->domain->loop) - s->kill_since_ms >= KILL_WAIT_MS)
        answer(s, why);
    if (s->kill_tries < 9)
        delay = (uint64_t)KILL_RETRY_MIN_MS << (s->kill_tries - 1);
    timer_start(s->domain->loop, &s->kill_timer, delay, kill_try, s);
}

static void on_removed(void *ctx, const struct err *err)
{
    struct op *commit = ctx;
    struct domain *d = commit->domain;
    struct event_draft *killed = commit->draft;
    struct sandbox *s = sandbox_find(d, str_of(commit->id));

    op_end(commit, NULL, NULL);
    if (err == NULL && s != NULL) {
        finish(s, killed);
        return;
    }
    event_settle(d, killed, err == NULL);
    if (s != NULL)
        again(s, err);
}

static void remove_record(struct sandbox *s)
{
    struct domain *d = s->domain;
    struct event_draft *killed = NULL;
    struct err err = {0};
    struct op *commit;

    if (s->team == NULL) {
        finish(s, NULL);
        return;
    }
    if (store_remove(d->store, STORE_SANDBOX, s->r.id, &err) != 0 ||
        (s->r.started_at_ms > 0 &&
         event_prepare(d, event_of(s, EVENT_SANDBOX_KILLED, NULL), &killed, &err) != 0)) {
        again(s, &err);
        return;
    }
    commit = op_new(d, s->r.id, NULL, NULL);
    commit->draft = killed;
    store_commit(d->store, on_removed, commit);
}

static void on_stopped(void *ctx, struct str id, const struct node_result *result)
{
    struct sandbox *s = sandbox_find(ctx, id);

    if (s == NULL || s->state != SANDBOX_KILLING)
        return;
    if (result->err != NULL && result->err->kind != ERR_NOT_FOUND)
        again(s, result->err);
    else
        remove_record(s);
}

static void kill_try(void *ctx)
{
    struct sandbox *s = ctx;
    struct err err = {0};

    if (node_client_stop(s->domain->node, s->r.id, STOP_MS, on_stopped, &err) != 0)
        again(s, &err);
}

static void close_down(struct sandbox *s, enum kill_reason reason)
{
    s->kill_reason = reason;
    s->r.kill_reason = (int32_t)reason;
    s->kill_since_ms = loop_now_ms(s->domain->loop);
    sandbox_move(s, SANDBOX_KILLING);
}

void sandbox_end(struct sandbox *s, enum kill_reason reason)
{
    if (s->state == SANDBOX_KILLING)
        return;
    close_down(s, reason);
    kill_try(s);
}

void sandbox_end_again(struct sandbox *s)
{
    kill_try(s);
}

void sandbox_gone(struct sandbox *s, enum kill_reason reason, const char *detail)
{
    struct err why = {0};

    if (s->state == SANDBOX_KILLING)
        return; /* the stop that is on its way will find nothing */
    if (s->state == SANDBOX_STARTING) {
        err_set(&why, ERR_SYSTEM, "sandbox ended while it started: %s", detail);
        sandbox_start_failed(s, &why);
        return;
    }
    close_down(s, reason);
    remove_record(s);
}

void sandbox_expire(struct sandbox *s)
{
    if (s->state == SANDBOX_PAUSED)
        sandbox_end(s, KILL_RETENTION);
    else if (s->r.pauses_at_end)
        sandbox_pause_at_end(s);
    else
        sandbox_end(s, KILL_TIMEOUT);
}

int sandbox_kill(struct domain *d, const struct team *team, struct str id, sandbox_done_fn *fn,
                 void *ctx, struct err *err)
{
    struct sandbox *s = sandbox_find(d, id);
    struct op *op;

    if (s == NULL || s->team != team || s->r.started_at_ms == 0 || s->state == SANDBOX_STARTING)
        return sandbox_missing(err, id);
    op = op_new(d, s->r.id, fn, ctx);
    list_remove(&op->node);
    list_push(&s->waiters, &op->node);
    sandbox_end(s, KILL_REQUEST);
    return 0;
}

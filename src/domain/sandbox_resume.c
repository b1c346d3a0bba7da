/* SPDX-License-Identifier: Apache-2.0 */
/* Resuming: asked for by connect and resume, or by requests that wait (sandbox_wake.c). One work
 * for all; nobody is answered before it runs and the record says so. Called by api/pause.c.
 *
 * A sandbox that was rolled back is paused "at" a snapshot: node has nothing of it but that, so
 * what is left of it there is stopped and it is started from the snapshot. */
#include "base/clock.h"
#include "domain/authority.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/guest_start.h"
#include "domain/quota.h"
#include "domain/sandbox.h"
#include "domain/sandbox_wake.h"

enum {
    RESUME_MS = 60 * 1000, /* for node */
    STOP_MS = 10 * 1000,
};

struct resumer {
    struct list_node node;
    struct resume_ask ask;
};

static void resumer_end(struct sandbox *s, struct resumer *r, bool was_resumed,
                        const struct err *err)
{
    struct resume_ask ask = r->ask;

    list_remove(&r->node);
    free(r);
    (was_resumed ? ask.resumed : ask.running)(ask.ctx, err == NULL ? s : NULL, err);
}

void resumers_tell(struct sandbox *s, const struct err *err)
{
    struct list_node *at;

    while ((at = list_first(&s->resumers)) != NULL)
        resumer_end(s, container_of(at, struct resumer, node), true, err);
}

void resumers_done(struct sandbox *s)
{
    struct list_node *at;

    while ((at = list_pop(&s->resumers)) != NULL)
        free(container_of(at, struct resumer, node));
}

static int refuse_running(const struct sandbox *s, struct err *err)
{
    if (s->state == SANDBOX_SNAPSHOTTING)
        return err_set(err, ERR_CONFLICT,
                       "Sandbox snapshot is currently being created for sandbox '%.*s'",
                       STR_ARG(s->r.id));
    return err_set(err, ERR_CONFLICT, "Sandbox %.*s is already running", STR_ARG(s->r.id));
}

/* It runs: its end moves, and that is all. */
static int extend(struct sandbox *s, const struct resume_ask *ask, struct err *err)
{
    const struct end_change change = {END_CONNECT, ask->seconds, ask->running, ask->ctx};

    if (ask->is_only_paused)
        return refuse_running(s, err);
    return sandbox_set_end(s->domain, s->team, s->r.id, &change, err);
}

/* They waited for a pause that failed. */
void resumers_extend(struct sandbox *s)
{
    struct list_node *at;

    while ((at = list_first(&s->resumers)) != NULL) {
        struct resumer *r = container_of(at, struct resumer, node);
        struct resume_ask ask = r->ask;
        struct err err = {0};

        list_remove(&r->node);
        free(r);
        if (extend(s, &ask, &err) != 0)
            ask.running(ask.ctx, NULL, &err);
    }
}

static void fail(struct sandbox *s, const struct err *err)
{
    struct err why = *err;

    s->domain->counters.resumes_failed++;
    event_emit(s->domain, (struct event){.kind = EVENT_SANDBOX_RESUME_FAILED,
                                         .subject = s->r.id,
                                         .team_id = s->r.team_id,
                                         .detail = why.text});
    resumers_tell(s, &why); /* before the move, which would try for those who wait still */
    wakers_fail(s, &why);
    quota_pause(s);
    if (s->r.paused_at_ms == 0)
        s->r.paused_at_ms = clock_wall_ms();
    if (s->state == SANDBOX_RESUMING)
        sandbox_move(s, SANDBOX_PAUSED);
}

static void on_stored(void *ctx, const struct err *err)
{
    struct op *commit = ctx;
    struct domain *d = commit->domain;
    struct event_draft *resumed = commit->draft;
    struct sandbox *s = sandbox_find(d, str_of(commit->id));

    op_end(commit, NULL, NULL);
    if (s != NULL && s->state == SANDBOX_RESUMING) {
        if (err == NULL) {
            s->end_stored_ms = s->r.end_at_ms;
            d->counters.resumed++;
            sandbox_move(s, SANDBOX_RUNNING);
            resumers_tell(s, NULL);
        } else {
            event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
            fail(s, err); /* node has it running: the next resume finds that */
        }
    }
    event_settle(d, resumed, err == NULL);
}

/* Those who asked say how long, the longest of them counts. Requests alone: the timeout of its
 * creation, at least WAKE_TIMEOUT_LEAST (semantics.md 2.3). */
static int64_t end_of_life(const struct sandbox *s, int64_t now_ms)
{
    int64_t max_s = (int64_t)team_timeout_max_s(s->domain, s->team), seconds = 0, end = 0;

    for (struct list_node *at = list_first(&s->resumers); at != NULL;
         at = list_next(&s->resumers, at)) {
        int64_t wanted =
            sandbox_end_after(now_ms, container_of(at, struct resumer, node)->ask.seconds);

        end = wanted > end ? wanted : end;
    }
    if (end > 0)
        return end;
    seconds = s->r.timeout_s;
    if (seconds == SANDBOX_NO_TIMEOUT)
        return SANDBOX_END_NEVER_MS;
    if (seconds < WAKE_TIMEOUT_LEAST)
        seconds = WAKE_TIMEOUT_LEAST;
    return now_ms + (seconds < max_s ? seconds : max_s) * 1000;
}

void sandbox_resumed(struct sandbox *s, uint64_t took_us)
{
    struct event resumed = {.kind = EVENT_SANDBOX_RESUMED,
                            .subject = s->r.id,
                            .team_id = s->r.team_id,
                            .took_us = took_us};
    struct sandbox_record was = s->r;
    struct event_draft *draft = NULL;
    struct err err = {0};
    struct op *commit;

    s->r.run_at_ms = clock_wall_ms();
    s->r.end_at_ms = end_of_life(s, s->r.run_at_ms);
    s->r.paused_at_ms = 0;
    s->r.is_files_only = false;
    s->r.at_snapshot = (struct str){0};
    commit = op_new(s->domain, s->r.id, NULL, NULL);
    if (sandbox_save(s, SANDBOX_RUNNING, &err) != 0 ||
        event_prepare(s->domain, resumed, &draft, &err) != 0) {
        s->r = was;
        ignore(sandbox_save(s, SANDBOX_PAUSED, NULL)); /* over what may be queued already */
        on_stored(commit, &err);
        return;
    }
    commit->draft = draft;
    store_commit(s->domain->store, on_stored, commit);
}

static void on_trusted(struct trust *t, const struct err *err)
{
    struct sandbox *s = sandbox_find(t->domain, str_of(t->id));

    authority_free(t);
    if (s == NULL || s->state != SANDBOX_RESUMING)
        return; /* it ended meanwhile; who waited was told */
    if (err == NULL)
        sandbox_resumed(s, s->start_us);
    else
        fail(s, err); /* node has it running: the next resume begins with the snapshot again */
}

/* The snapshot may be older than its authority. */
static void on_resumed(void *ctx, struct str id, const struct node_result *result)
{
    static const struct trust model = {.then = on_trusted};
    struct sandbox *s = sandbox_find(ctx, id);

    if (s == NULL || s->state != SANDBOX_RESUMING)
        return;
    s->start_us = result->took_us;
    if (result->err != NULL)
        fail(s, result->err);
    else if (s->r.at_snapshot.len > 0 && s->r.authority != NULL)
        authority_install(s, &model);
    else
        sandbox_resumed(s, result->took_us);
}

/* At a snapshot: node starts it anew, after what it still has of it is gone. */
static int tell_node(struct sandbox *s, struct err *err)
{
    struct domain *d = s->domain;
    bool is_new = s->r.at_snapshot.len > 0;
    struct guest_start g;
    int result = guest_start_init(&g, s, err);

    g.m.is_cold = s->is_resumed_cold;
    if (is_new)
        g.m.snapshot = s->r.at_snapshot;
    if (result == 0 && is_new)
        result = node_client_start(d->node, &g.m, RESUME_MS, on_resumed, err);
    else if (result == 0)
        result = node_client_resume(d->node, &g.m, RESUME_MS, on_resumed, err);
    guest_start_done(&g);
    return result;
}

static void on_stopped(void *ctx, struct str id, const struct node_result *result)
{
    struct sandbox *s = sandbox_find(ctx, id);
    struct err why = {0};

    if (s == NULL || s->state != SANDBOX_RESUMING)
        return;
    if (result->err != NULL && result->err->kind != ERR_NOT_FOUND)
        fail(s, result->err);
    else if (tell_node(s, &why) != 0)
        fail(s, &why);
}

void sandbox_resume_go(struct sandbox *s)
{
    struct domain *d = s->domain;
    struct err err = {0};
    int result = quota_resume(d, s, &err);

    if (result == 0 && s->r.at_snapshot.len > 0)
        result = node_client_stop(d->node, s->r.id, STOP_MS, on_stopped, &err);
    else if (result == 0)
        result = tell_node(s, &err);
    if (result != 0)
        fail(s, &err);
    else if (s->state != SANDBOX_RESUMING)
        sandbox_move(s, SANDBOX_RESUMING);
}

void sandbox_resume_now(struct sandbox *s)
{
    struct list_node *first = list_first(&s->resumers);

    s->is_resumed_cold = first != NULL && container_of(first, struct resumer, node)->ask.is_cold;
    sandbox_resume_go(s);
}

void resumers_add(struct sandbox *s, const struct resume_ask *ask)
{
    struct resumer *r = mem_zero(sizeof(*r));

    r->ask = *ask;
    list_push(&s->resumers, &r->node);
}

static int join(struct sandbox *s, const struct resume_ask *ask, struct err *err)
{
    if (s->state == SANDBOX_RESUMING && ask->is_cold && !s->is_resumed_cold)
        return err_set(err, ERR_CONFLICT, "Sandbox \"%.*s\" is being resumed with its memory",
                       STR_ARG(s->r.id));
    resumers_add(s, ask);
    domain_sign(s);
    if (s->state == SANDBOX_PAUSED)
        sandbox_resume_now(s);
    return 0;
}

int sandbox_connect(struct domain *d, const struct team *team, struct str id,
                    const struct resume_ask *ask, struct err *err)
{
    struct sandbox *s;

    if (sandbox_check_timeout(d, team, ask->seconds, err) != 0)
        return -1;
    s = sandbox_find(d, id);
    if (s != NULL && s->team == team && s->state == SANDBOX_KILLING && s->r.started_at_ms > 0)
        return err_set(err, ERR_CONFLICT, "Sandbox \"%.*s\" is being killed", STR_ARG(s->r.id));
    s = sandbox_require(d, team, id, err);
    if (s == NULL)
        return -1;
    if (sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_RUNNING)
        return extend(s, ask, err);
    return join(s, ask, err);
}

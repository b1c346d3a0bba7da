/* SPDX-License-Identifier: Apache-2.0 */
/* Pausing: asked for, or at the end of its time. One work for all who ask; it is answered when node
 * has everything on its disk and the record says so. Called by api/pause.c and deadline.c.
 *
 * A pause that fails leaves the sandbox running. One whose time is over then gets a little more of
 * it and is tried again: it asked not to be killed. */
#include "base/clock.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/quota.h"
#include "domain/sandbox.h"
#include "domain/sandbox_wake.h"

enum {
    PAUSE_MS = 5 * 60 * 1000, /* for node: memory of many GiB has to reach the disk */
    PAUSE_RETRY_MIN_S = 30,
    PAUSE_RETRY_MAX_S = 600,
};

static void answer(struct sandbox *s, const struct err *err)
{
    struct list_node *at;

    while ((at = list_pop(&s->pausers)) != NULL)
        op_end(container_of(at, struct op, node), s, err);
}

void pausers_drop(struct sandbox *s, const struct err *err)
{
    answer(s, err);
}

/* Its time is over, and it cannot be paused: it lives on until the next try. */
static int64_t next_try_ms(struct sandbox *s, int64_t now_ms)
{
    int64_t wait_s = (int64_t)PAUSE_RETRY_MIN_S << (s->pause_tries < 5 ? s->pause_tries : 5);

    s->pause_tries++;
    return now_ms + (wait_s < PAUSE_RETRY_MAX_S ? wait_s : PAUSE_RETRY_MAX_S) * 1000;
}

static void fail(struct sandbox *s, const struct err *err)
{
    int64_t now = clock_wall_ms();
    bool is_late = s->r.pauses_at_end && s->r.end_at_ms <= now;
    struct err why = *err;

    s->domain->counters.pauses_failed++;
    event_emit(s->domain, (struct event){.kind = EVENT_SANDBOX_PAUSE_FAILED,
                                         .subject = s->r.id,
                                         .team_id = s->r.team_id,
                                         .detail = why.text});
    s->r.is_files_only = false;
    if (is_late)
        s->end_stored_ms = s->r.end_at_ms = next_try_ms(s, now);
    if (s->state == SANDBOX_PAUSING)
        sandbox_move(s, SANDBOX_RUNNING);
    else
        deadline_set(s);
    if (is_late)
        sandbox_restore(s); /* without it, a restart only tries sooner */
    answer(s, &why);
}

/* Node has paused it, whatever becomes of the record: a restart of ours would learn it from node.
 */
static void on_stored(void *ctx, const struct err *err)
{
    struct op *commit = ctx;
    struct domain *d = commit->domain;
    struct event_draft *paused = commit->draft;
    struct sandbox *s = sandbox_find(d, str_of(commit->id));

    op_end(commit, NULL, NULL);
    if (s != NULL && s->state == SANDBOX_PAUSING) {
        s->pause_tries = 0;
        quota_pause(s);
        d->counters.paused++;
        sandbox_move(s, SANDBOX_PAUSED);
        if (err != NULL)
            event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
        answer(s, err);
    }
    event_settle(d, paused, err == NULL);
}

void sandbox_paused(struct sandbox *s, uint64_t took_us)
{
    struct event paused = {.kind = EVENT_SANDBOX_PAUSED,
                           .subject = s->r.id,
                           .team_id = s->r.team_id,
                           .took_us = took_us};
    struct event_draft *draft = NULL;
    struct err err = {0};
    struct op *commit;

    s->r.paused_at_ms = clock_wall_ms();
    commit = op_new(s->domain, s->r.id, NULL, NULL);
    if (sandbox_save(s, SANDBOX_PAUSED, &err) != 0 ||
        event_prepare(s->domain, paused, &draft, &err) != 0) {
        on_stored(commit, &err);
        return;
    }
    commit->draft = draft;
    store_commit(s->domain->store, on_stored, commit);
}

static void on_paused(void *ctx, struct str id, const struct node_result *result)
{
    struct sandbox *s = sandbox_find(ctx, id);

    if (s == NULL || s->state != SANDBOX_PAUSING)
        return; /* it ended meanwhile; who waited was told */
    if (result->err != NULL) {
        fail(s, result->err);
        return;
    }
    s->is_frozen = result->is_frozen;
    if (s->is_frozen)
        event_emit(s->domain, (struct event){.kind = EVENT_SANDBOX_FROZEN,
                                             .subject = s->r.id,
                                             .team_id = s->r.team_id});
    sandbox_paused(s, result->took_us);
}

static void begin(struct sandbox *s, bool keeps_memory)
{
    const struct node_keep m = {.id = s->r.id, .keeps_memory = keeps_memory};
    struct err err = {0};

    if (node_client_pause(s->domain->node, &m, PAUSE_MS, on_paused, &err) != 0) {
        fail(s, &err);
        return;
    }
    s->r.is_files_only = !keeps_memory;
    s->is_frozen = false;
    sandbox_move(s, SANDBOX_PAUSING);
}

void sandbox_pause_now(struct sandbox *s)
{
    bool keeps_memory = true;

    for (struct list_node *at = list_first(&s->pausers); at != NULL;
         at = list_next(&s->pausers, at))
        keeps_memory = keeps_memory && !container_of(at, struct op, node)->is_files_only;
    begin(s, keeps_memory);
}

void sandbox_pause_at_end(struct sandbox *s)
{
    begin(s, !s->r.pauses_files_only);
}

/* Node answers when the one under way is over. */
void sandbox_pause_follow(struct sandbox *s)
{
    begin(s, true);
}

static int check(const struct sandbox *s, bool keeps_memory, struct err *err)
{
    const char *name = sandbox_state_row(s->state)->name;

    if (s->state == SANDBOX_PAUSED)
        return err_set(err, ERR_CONFLICT,
                       "Error pausing sandbox - sandbox '%.*s' is already paused",
                       STR_ARG(s->r.id));
    if (!sandbox_state_row(s->state)->may_pause)
        return err_set(err, ERR_CONFLICT, "Sandbox '%.*s' cannot be paused while in '%s' state",
                       STR_ARG(s->r.id), name);
    if (keeps_memory && s->state == SANDBOX_PAUSING && s->r.is_files_only)
        return err_set(err, ERR_CONFLICT, "Sandbox '%.*s' is being paused without its memory",
                       STR_ARG(s->r.id));
    return 0;
}

int sandbox_pause(struct domain *d, const struct team *team, struct str id,
                  const struct pause_ask *ask, struct err *err)
{
    struct sandbox *s = sandbox_require(d, team, id, err);
    struct op *op;

    if (s == NULL || check(s, ask->keeps_memory, err) != 0)
        return -1;
    op = op_new(d, s->r.id, ask->fn, ask->ctx);
    op->is_files_only = !ask->keeps_memory;
    list_remove(&op->node);
    list_push(&s->pausers, &op->node);
    domain_sign(s);
    if (s->state == SANDBOX_RUNNING)
        sandbox_pause_now(s);
    return 0;
}

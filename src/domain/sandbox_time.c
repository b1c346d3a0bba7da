/* SPDX-License-Identifier: Apache-2.0 */
/* Moving the end of a sandbox: set_timeout, refresh, connect and activity. Called by
 * api/sandboxes.c and api/feed.c.
 *
 * The new end is in force at once (one thread: calls linearise, the index moves in the same step)
 * and shown once it is durable. When the store fails, the end goes back to what is stored. */
#include "base/clock.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/sandbox.h"

enum {
    ACTIVE_STEP_MS = 1000, /* activity that moves the end by less is not worth a record … */
    ACTIVE_STEPS = 10,     /* … but nobody loses more than that part of his idle time */
    SPARE_MS = 10 * 1000,  /* several pauses between two reports of edge about one stream */
};

static void tell(const struct op *op, const struct sandbox *s, const struct err *err)
{
    if (err != NULL)
        event_emit(op->domain, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
    else if (!op->is_quiet)
        event_emit(op->domain, (struct event){.kind = EVENT_SANDBOX_UPDATED,
                                              .subject = str_of(op->id),
                                              .team_id = s != NULL ? s->r.team_id : (struct str){0},
                                              .detail = "timeout"});
}

static void on_stored(void *ctx, const struct err *err)
{
    struct op *op = ctx;
    struct sandbox *s = sandbox_find(op->domain, str_of(op->id));

    if (s != NULL && err == NULL) {
        s->end_stored_ms = op->end_ms;
        s->idle_stored_s = op->idle_s;
        s->is_unlimited_stored = op->is_unlimited;
    }
    if (s != NULL && err != NULL && s->r.end_at_ms == op->end_ms) {
        s->r.end_at_ms = s->end_stored_ms;
        s->r.idle_s = s->idle_stored_s;
        s->r.is_unlimited = s->is_unlimited_stored;
        deadline_set(s);
        sandbox_restore(s);
    }
    tell(op, s, err);
    if (s != NULL && !sandbox_is_shown(s, clock_wall_ms()))
        s = NULL;
    op_end(op, s, err);
}

int64_t sandbox_end_after(int64_t from_ms, int64_t seconds)
{
    return seconds == SANDBOX_NO_TIMEOUT ? SANDBOX_END_NEVER_MS : from_ms + seconds * 1000;
}

static int check(const struct domain *d, const struct team *team, const struct end_change *change,
                 struct err *err)
{
    bool may_be_zero = change->rule != END_CONNECT;
    bool is_never = change->seconds == SANDBOX_NO_TIMEOUT && d->config.may_be_unlimited;

    if (change->seconds == 0 && may_be_zero)
        return 0;
    if (change->seconds < 0 && may_be_zero && !is_never)
        return err_set(err, ERR_INVALID, "Timeout must not be negative");
    return sandbox_check_timeout(d, team, change->seconds, err);
}

struct sandbox *sandbox_require_running(const struct domain *d, const struct team *team,
                                        struct str id, struct err *err)
{
    struct sandbox *s = sandbox_require(d, team, id, err);

    if (s == NULL || sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_RUNNING)
        return s;
    err_set(err, ERR_CONFLICT, "Sandbox \"%.*s\" is %s", STR_ARG(s->r.id),
            sandbox_state_row(s->state)->name);
    return NULL;
}

static struct sandbox *find(const struct domain *d, const struct team *team, struct str id,
                            const struct end_change *change, struct err *err)
{
    struct sandbox *s = sandbox_find(d, id);

    if (s != NULL && s->team == team && s->state == SANDBOX_KILLING && s->r.started_at_ms > 0 &&
        change->rule == END_CONNECT) {
        err_set(err, ERR_CONFLICT, "Sandbox \"%.*s\" is being killed", STR_ARG(s->r.id));
        return NULL;
    }
    return sandbox_require_running(d, team, id, err);
}

/* The longest life counts from the start or the last resume, whatever was asked since (RX-03). */
static int64_t cap(const struct sandbox *s, int64_t end_ms)
{
    int64_t from = s->r.run_at_ms > 0 ? s->r.run_at_ms : s->r.started_at_ms;
    int64_t last = from + (int64_t)team_timeout_max_s(s->domain, s->team) * 1000;

    return s->r.is_unlimited || end_ms < last ? end_ms : last;
}

/* In force and queued, or nothing happened. */
static int move(struct sandbox *s, int64_t end_ms, int64_t idle_s, struct err *err)
{
    int64_t end_was = s->r.end_at_ms, idle_was = s->r.idle_s;
    bool unlimited_was = s->r.is_unlimited;

    s->r.end_at_ms = end_ms;
    s->r.idle_s = idle_s;
    s->r.is_unlimited = unlimited_was || end_ms == SANDBOX_END_NEVER_MS;
    if (sandbox_save(s, s->state, err) != 0) {
        s->r.end_at_ms = end_was;
        s->r.idle_s = idle_was;
        s->r.is_unlimited = unlimited_was;
        return -1;
    }
    deadline_set(s);
    return 0;
}

static struct op *commit(struct sandbox *s, sandbox_done_fn *fn, void *ctx)
{
    struct op *op = op_new(s->domain, s->r.id, fn, ctx);

    op->end_ms = s->r.end_at_ms;
    op->idle_s = s->r.idle_s;
    op->is_unlimited = s->r.is_unlimited;
    store_commit(s->domain->store, on_stored, op);
    return op;
}

int sandbox_set_end(struct domain *d, const struct team *team, struct str id,
                    const struct end_change *change, struct err *err)
{
    int64_t now = clock_wall_ms(), end, idle_s;
    struct sandbox *s;

    if (check(d, team, change, err) != 0 || (s = find(d, team, id, change, err)) == NULL)
        return -1;
    end = sandbox_end_after(now, change->seconds);
    if (end != SANDBOX_END_NEVER_MS)
        end = cap(s, end);
    idle_s = s->r.idle_s;
    if (change->rule == END_SET && idle_s > 0 && change->seconds > 0)
        idle_s = change->seconds; /* CL-02: the new timeout is the one that activity renews */
    if (change->rule != END_SET && end <= s->r.end_at_ms) {
        end = s->r.end_at_ms;
        if (end == s->end_stored_ms) {
            change->fn(change->ctx, s, NULL); /* nothing to store */
            return 0;
        }
    }
    s->r.refreshed_at_ms = now;
    if (move(s, end, idle_s, err) != 0)
        return -1;
    ignore(commit(s, change->fn, change->ctx) == NULL); /* never is */
    return 0;
}

static void renew(struct sandbox *s, int64_t end_ms)
{
    if (move(s, end_ms, s->r.idle_s, NULL) != 0)
        return; /* a store that is too busy now is asked again by the next report */
    s->domain->counters.activities++;
    commit(s, NULL, NULL)->is_quiet = true;
}

void sandbox_spare(struct sandbox *s)
{
    int64_t end = cap(s, clock_wall_ms() + SPARE_MS);

    if (s->r.idle_s > 0 && sandbox_state_row(s->state)->has_deadline && s->r.end_at_ms < end)
        renew(s, end);
}

void sandbox_active(struct domain *d, struct str id)
{
    int64_t now = clock_wall_ms(), end, step;
    struct sandbox *s = sandbox_find(d, id);

    if (s == NULL || s->r.idle_s == 0 || !sandbox_is_shown(s, now) ||
        sandbox_state_row(s->state)->shown != SANDBOX_PUBLIC_RUNNING)
        return;
    end = cap(s, now + s->r.idle_s * 1000);
    step = s->r.idle_s * 1000 / ACTIVE_STEPS;
    if (step > ACTIVE_STEP_MS)
        step = ACTIVE_STEP_MS;
    if (end >= s->r.end_at_ms + step || (end > s->r.end_at_ms && end == cap(s, INT64_MAX)))
        renew(s, end);
}

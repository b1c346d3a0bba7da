/* SPDX-License-Identifier: Apache-2.0 */
/* Moving the end of a sandbox: set_timeout, refresh and connect. Called by api/sandboxes.c.
 *
 * The new end is in force at once (one thread: calls linearise, the index moves in the same step)
 * and shown once it is durable. When the store fails, the end goes back to what is stored. */
#include "base/clock.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/sandbox.h"

static void on_stored(void *ctx, const struct err *err)
{
    struct op *op = ctx;
    struct sandbox *s = sandbox_find(op->domain, str_of(op->id));

    if (s != NULL && err == NULL)
        s->end_stored_ms = op->end_ms;
    if (s != NULL && err != NULL && s->r.end_at_ms == op->end_ms) {
        s->r.end_at_ms = s->end_stored_ms;
        deadline_set(s);
    }
    if (err != NULL)
        event_emit(op->domain, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
    else
        event_emit(op->domain,
                   (struct event){.kind = EVENT_SANDBOX_UPDATED, .subject = str_of(op->id)});
    if (s != NULL && !sandbox_is_shown(s, clock_wall_ms()))
        s = NULL;
    op_end(op, s, err);
}

static int check(const struct domain *d, const struct team *team, const struct end_change *change,
                 struct err *err)
{
    if (change->seconds == 0 && change->rule != END_CONNECT)
        return 0;
    if (change->seconds < 0 && change->rule != END_CONNECT)
        return err_set(err, ERR_INVALID, "Timeout must not be negative");
    return sandbox_check_timeout(d, team, change->seconds, err);
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
    s = sandbox_require(d, team, id, err);
    if (s == NULL || sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_RUNNING)
        return s;
    err_set(err, ERR_CONFLICT, "Sandbox \"%.*s\" is %s", STR_ARG(s->r.id),
            sandbox_state_row(s->state)->name);
    return NULL;
}

int sandbox_set_end(struct domain *d, const struct team *team, struct str id,
                    const struct end_change *change, struct err *err)
{
    int64_t now = clock_wall_ms(), was, end, cap;
    struct sandbox *s;
    struct op *op;

    if (check(d, team, change, err) != 0 || (s = find(d, team, id, change, err)) == NULL)
        return -1;
    was = s->r.end_at_ms;
    end = now + change->seconds * 1000;
    cap = s->r.started_at_ms + (int64_t)team_timeout_max_s(d, team) * 1000;
    if (end > cap)
        end = cap;
    if (change->rule != END_SET && end <= was) {
        end = was;
        if (was == s->end_stored_ms) {
            change->fn(change->ctx, s, NULL); /* nothing to store */
            return 0;
        }
    }
    s->r.end_at_ms = end;
    s->r.refreshed_at_ms = now;
    if (sandbox_save(s, s->state, err) != 0) {
        s->r.end_at_ms = was;
        return -1;
    }
    deadline_set(s);
    op = op_new(d, s->r.id, change->fn, change->ctx);
    op->end_ms = end;
    store_commit(d->store, on_stored, op);
    return 0;
}

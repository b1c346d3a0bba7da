/* SPDX-License-Identifier: Apache-2.0 */
/* Putting a sandbox back to one of its own snapshots, under its own id. Called by api/snapshots.c.
 *
 * The decision is durable before anything of the present state is given up: the record says
 * "paused, and goes on from that snapshot". From then on each resume, also after a restart, stops
 * what node still has and starts it from there, until that has succeeded. */
#include "domain/sandbox_rollback.h"

#include "base/clock.h"
#include "domain/domain_internal.h"
#include "domain/snapshot.h"

static void on_stored(void *ctx, const struct err *err)
{
    struct op *commit = ctx;
    struct domain *d = commit->domain;
    struct event_draft *rolled = commit->draft;
    struct sandbox *s = sandbox_find(d, str_of(commit->id));

    op_end(commit, NULL, NULL);
    if (s != NULL && s->state == SANDBOX_RESUMING) {
        if (err == NULL) {
            d->counters.rollbacks++;
            sandbox_resume_go(s);
        } else {
            event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
            s->r.at_snapshot = (struct str){0};
            sandbox_move(s, s->was_running ? SANDBOX_RUNNING : SANDBOX_PAUSED);
            sandbox_restore(s);
            resumers_tell(s, err);
        }
    }
    event_settle(d, rolled, err == NULL);
}

static int begin(struct sandbox *s, const struct snapshot *to, struct err *err)
{
    struct event rolled = {
        .kind = EVENT_SANDBOX_ROLLED_BACK, .subject = s->r.id, .team_id = s->r.team_id};
    struct event_draft *draft = NULL;
    int64_t paused_was = s->r.paused_at_ms;
    struct op *commit;

    s->r.at_snapshot = arena_str(&s->mem, to->r.id);
    if (s->r.at_snapshot.at == NULL)
        return err_set(err, ERR_LIMIT, "it was rolled back too often");
    if (paused_was == 0)
        s->r.paused_at_ms = clock_wall_ms();
    if (sandbox_save(s, SANDBOX_PAUSED, err) != 0 ||
        event_prepare(s->domain, rolled, &draft, err) != 0) {
        s->r.at_snapshot = (struct str){0};
        s->r.paused_at_ms = paused_was;
        ignore(sandbox_save(s, s->state, NULL)); /* over what may be queued already */
        return -1;
    }
    s->was_running = s->state == SANDBOX_RUNNING;
    sandbox_move(s, SANDBOX_RESUMING);
    commit = op_new(s->domain, s->r.id, NULL, NULL);
    commit->draft = draft;
    store_commit(s->domain->store, on_stored, commit);
    return 0;
}

int sandbox_rollback(struct domain *d, const struct team *team, struct str id, struct str reference,
                     const struct resume_ask *ask, struct err *err)
{
    struct sandbox *s = sandbox_require(d, team, id, err);
    const struct snapshot *to;

    if (s == NULL || sandbox_check_timeout(d, team, ask->seconds, err) != 0)
        return -1;
    if (s->state != SANDBOX_RUNNING && s->state != SANDBOX_PAUSED)
        return err_set(err, ERR_CONFLICT,
                       "Sandbox '%.*s' cannot be rolled back while in '%s' state", STR_ARG(s->r.id),
                       sandbox_state_row(s->state)->name);
    to = snapshot_find(d, team, reference);
    if (to == NULL || !str_eq(to->r.sandbox_id, s->r.id))
        return err_set(err, ERR_NOT_FOUND, "Sandbox '%.*s' has no snapshot '%.*s'",
                       STR_ARG(s->r.id), STR_ARG(str_upto(reference, TEMPLATE_NAME_MAX)));
    if (begin(s, to, err) != 0)
        return -1;
    resumers_add(s, ask);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Records and guests, compared: at start, each time node has been away, and now and then. Called by
 * domain.c and node_client.c. Every repair has a reason in the event log.
 *
 * A comparison while commands run is exact, because node answers in order: what it listed has not
 * been stopped for us yet, and what it did not list has not been started for us yet. */
#include <stdio.h>

#include "domain/build.h"
#include "domain/build_layer.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/quota.h"
#include "domain/sandbox_index.h"
#include "domain/signer.h"
#include "domain/snapshot.h"

static int add(struct domain *d, struct str record, struct err *err)
{
    struct sandbox *s;

    if (sandbox_new(d, record, &s, err) != 0)
        return -1;
    s->team = map_get(&d->teams, s->r.team_id);
    if (s->team == NULL)
        return err_set(err, ERR_INVALID, "it is of an unknown team");
    if (s->state == SANDBOX_PAUSED)
        quota_force_paused(s);
    else
        quota_force(s);
    deadline_set(s);
    sandbox_index_set(s);
    signer_set(s);
    return 0;
}

int recover_load(struct domain *d, struct err *err)
{
    size_t cursor = 0;
    struct sandbox *s;

    if (record_each(d, STORE_SANDBOX, "sandbox", add, err) != 0)
        return -1;
    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        if (s->state == SANDBOX_STARTING)
            sandbox_end(s, KILL_ORPHANED); /* its creator never got an answer */
        else if (s->state == SANDBOX_KILLING)
            sandbox_end_again(s);
        else
            sandbox_spare(s); /* nobody counted what went to it while this process was away */
    }
    return 0;
}

static size_t drop_lost(struct domain *d, const struct map *ids)
{
    size_t cursor = 0, count = 0;
    struct sandbox *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        bool needs_guest = sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_RUNNING;

        if (!needs_guest || map_get(ids, s->r.id) != NULL)
            continue;
        sandbox_gone(s, KILL_EXITED, "the node no longer has it");
        count++;
    }
    return count;
}

/* What node did and could not tell us, because one of us was away. Nobody waits for it any more:
 * the record follows. A sandbox that was rolled back has no business there: it is started anew by
 * the next resume, which also stops what is left. */
static size_t heal(struct domain *d, const struct map *ids)
{
    size_t cursor = 0, count = 0;
    struct sandbox *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        const struct node_id *id = map_get(ids, s->r.id);

        if (id == NULL || s->r.at_snapshot.len > 0)
            continue;
        if (s->state == SANDBOX_RUNNING && id->is_paused) {
            sandbox_move(s, SANDBOX_PAUSING);
            sandbox_paused(s, 0);
        } else if (s->state == SANDBOX_RUNNING && id->is_pausing) {
            sandbox_pause_follow(s);
        } else if (s->state == SANDBOX_PAUSED && !id->is_paused) {
            if (!s->has_slot)
                quota_force(s);
            sandbox_move(s, SANDBOX_RESUMING);
            sandbox_resumed(s, 0);
        } else {
            continue;
        }
        count++;
    }
    return count;
}

static size_t stop_orphans(struct domain *d, const struct map *ids)
{
    size_t cursor = 0, count = 0;
    const struct node_id *id;

    while ((id = map_next(ids, &cursor)) != NULL) {
        if (sandbox_find(d, str_of(id->text)) != NULL || build_owns_guest(d, str_of(id->text)))
            continue;
        sandbox_end_again(sandbox_new_orphan(d, str_of(id->text)));
        count++;
    }
    return count;
}

void recover_list(void *ctx, const struct node_listing *l)
{
    struct domain *d = ctx;
    size_t lost = drop_lost(d, l->sandboxes), orphans = stop_orphans(d, l->sandboxes);
    size_t healed = heal(d, l->sandboxes), removed = snapshot_compare(d, l->snapshots);
    char text[160];

    build_layers_compare(d, l->snapshots);
    d->counters.compared++;
    d->counters.lost += lost;
    d->counters.orphaned += orphans;
    d->counters.healed += healed;
    if (l->is_first)
        egress_tell_all(d); /* either of us may have missed a change */
    if (!l->is_first && lost + orphans + healed + removed == 0)
        return;
    snprintf(text, sizeof(text),
             "guests=%zu lost=%zu orphaned=%zu healed=%zu snapshots_removed=%zu",
             l->sandboxes->count, lost, orphans, healed, removed);
    event_emit(d, (struct event){.kind = EVENT_NODE_READY, .detail = text});
}

void recover_exited(void *ctx, struct str id, unsigned reason)
{
    /* By enum exit_reason of the runtime, as it travels in NODE_EXITED. */
    static const struct {
        enum kill_reason reason;
        const char *detail;
    } reasons[] = {
        {KILL_EXITED, "stopped on the node"    },
        {KILL_EXITED, "its first process ended"},
        {KILL_OOM,    "out of memory"          },
        {KILL_DISK,   "disk limit"             },
    };
    struct sandbox *s = sandbox_find(ctx, id);
    unsigned row = reason < COUNT_OF(reasons) ? reason : 1;

    if (s != NULL)
        sandbox_gone(s, reasons[row].reason, reasons[row].detail);
    else
        build_guest_exited(ctx, id, reasons[row].detail);
}

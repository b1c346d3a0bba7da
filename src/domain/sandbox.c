/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox object: from record and back, looking it up, those who wait for it. Its life is in
 * sandbox_create.c, sandbox_time.c and sandbox_kill.c. */
#include "domain/sandbox.h"

#include <assert.h>

#include "base/clock.h"
#include "domain/creation.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/quota.h"
#include "domain/sandbox_wake.h"
#include "domain/signer.h"

int sandbox_new(struct domain *d, struct str record, struct sandbox **out, struct err *err)
{
    struct sandbox *s;

    if (d->sandboxes.count >= DOMAIN_SANDBOXES_MAX)
        return err_set(err, ERR_LIMIT, "too many sandboxes");
    s = mem_zero(sizeof(*s));
    arena_init(&s->mem, SANDBOX_MEM_MAX);
    if (proto_decode(&sandbox_record_message, record, &s->mem, &s->r, err) != 0)
        goto fail;
    if (s->r.id.len == 0 || s->r.id.len > SANDBOX_KEY_MAX ||
        map_get(&d->sandboxes, s->r.id) != NULL || s->r.state < SANDBOX_STARTING ||
        s->r.state >= SANDBOX_KILLED) {
        err_set(err, ERR_INVALID, "not a sandbox record");
        goto fail;
    }
    s->domain = d;
    s->state = sandbox_state_row((enum sandbox_state)s->r.state)->restarts_as;
    s->r.state = (int32_t)s->state;
    s->end_stored_ms = s->r.end_at_ms;
    s->idle_stored_s = s->r.idle_s;
    s->is_unlimited_stored = s->r.is_unlimited;
    s->kill_reason = (enum kill_reason)s->r.kill_reason;
    map_put(&d->sandboxes, s->r.id, s);
    *out = s;
    return 0;
fail:
    arena_done(&s->mem);
    free(s);
    return -1;
}

struct sandbox *sandbox_new_orphan(struct domain *d, struct str id)
{
    struct sandbox *s = mem_zero(sizeof(*s));

    assert(id.len <= SANDBOX_KEY_MAX && map_get(&d->sandboxes, id) == NULL);
    arena_init(&s->mem, SANDBOX_MEM_MAX);
    s->r.id = arena_str(&s->mem, id);
    assert(s->r.id.at != NULL);
    s->domain = d;
    s->state = SANDBOX_KILLING;
    s->r.state = SANDBOX_KILLING;
    s->kill_reason = KILL_ORPHANED;
    map_put(&d->sandboxes, s->r.id, s);
    return s;
}

void sandbox_free(struct sandbox *s)
{
    heap_remove(&s->domain->deadlines, &s->deadline);
    timer_stop(&s->kill_timer);
    wakers_tell(s);
    task_cancel(&s->wake_task);
    signer_remove(s);
    quota_give_back(s);
    creation_drop(s->domain, s->creation);
    egress_release(s->egress);
    egress_release(s->egress_stored);
    map_remove(&s->domain->sandboxes, s->r.id);
    arena_done(&s->mem);
    free(s);
}

struct sandbox *sandbox_find(const struct domain *d, struct str id)
{
    return map_get(&d->sandboxes, id);
}

/* One whose end has passed is not shown even if the timer has yet to fire (AC-05). */
bool sandbox_is_shown(const struct sandbox *s, int64_t now_ms)
{
    const struct sandbox_state_row *row = sandbox_state_row(s->state);

    if (row->shown == SANDBOX_PUBLIC_NONE)
        return false;
    return !row->has_deadline || s->r.end_at_ms > now_ms;
}

int sandbox_missing(struct err *err, struct str id)
{
    return err_set(err, ERR_NOT_FOUND,
                   "Sandbox \"%.*s\" doesn't exist or you don't have access to it",
                   STR_ARG(str_upto(id, SANDBOX_KEY_MAX)));
}

struct sandbox *sandbox_require(const struct domain *d, const struct team *team, struct str id,
                                struct err *err)
{
    struct sandbox *s = sandbox_find(d, id);

    if (s != NULL && s->team == team && sandbox_is_shown(s, clock_wall_ms()))
        return s;
    sandbox_missing(err, id);
    return NULL;
}

const struct sandbox *sandbox_get(const struct domain *d, const struct team *team, struct str id)
{
    return sandbox_require(d, team, id, NULL);
}

const struct sandbox *sandbox_any(const struct domain *d, struct str id)
{
    return sandbox_find(d, id);
}

const struct sandbox *sandbox_next(const struct domain *d, size_t *cursor)
{
    return map_next(&d->sandboxes, cursor);
}

int sandbox_save(struct sandbox *s, enum sandbox_state state, struct err *err)
{
    struct sandbox_record r = s->r;
    struct buf bytes;
    int result;

    domain_sign(s);
    r.state = (int32_t)state;
    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&sandbox_record_message, &r, &bytes);
    if (buf_ok(&bytes))
        result = store_put(s->domain->store, STORE_SANDBOX, r.id, buf_str(&bytes), err);
    else
        result = err_set(err, ERR_LIMIT, "sandbox record too large");
    buf_done(&bytes);
    return result;
}

void sandbox_restore(struct sandbox *s)
{
    if (sandbox_save(s, s->state, NULL) == 0)
        store_commit(s->domain->store, NULL, NULL);
}

struct op *op_new(struct domain *d, struct str id, sandbox_done_fn *fn, void *ctx)
{
    struct op *op = mem_zero(sizeof(*op));

    assert(id.len < sizeof(op->id));
    op->domain = d;
    op->fn = fn;
    op->ctx = ctx;
    if (id.len > 0)
        memcpy(op->id, id.at, id.len);
    list_push(&d->ops, &op->node);
    return op;
}

void op_end(struct op *op, const struct sandbox *s, const struct err *err)
{
    list_remove(&op->node);
    if (op->fn != NULL)
        op->fn(op->ctx, s, err);
    free(op);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a sandbox's egress rules. Called by api/sandbox_network.c.
 *
 * Like the end of a sandbox (sandbox_time.c), rules are in force at once, answered for once they
 * are durable, and go back to what is stored when the store fails. */
#include "base/clock.h"
#include "domain/domain_internal.h"
#include "domain/sandbox.h"
#include "ipc/egress_messages.h"

/* One set of rules: held by the sandbox as what is in force and as what is durable, and by the
 * calls that are to make it durable. */
struct egress {
    unsigned users;
    bool is_offline;
    struct codec_list allow_out, deny_out; /* of struct str, in mem */
    struct arena mem;
};

void egress_release(struct egress *e)
{
    if (e == NULL || --e->users > 0)
        return;
    arena_done(&e->mem);
    free(e);
}

static struct egress *hold(struct egress *e)
{
    e->users++;
    return e;
}

static bool copy_list(struct arena *mem, const struct codec_list *list, struct codec_list *out)
{
    const struct str *from = list->items;
    struct str *to = arena_array(mem, list->count + 1, sizeof(*to));

    *out = (struct codec_list){to, list->count};
    for (size_t i = 0; to != NULL && i < list->count; i++) {
        to[i] = arena_str(mem, from[i]);
        if (to[i].at == NULL)
            return false;
    }
    return to != NULL;
}

/* The limit of what egress is told holds before anything is in force: half of the rules would be
 * other rules. */
static bool can_be_told(const struct egress *e)
{
    const struct sandbox_record r = {.allow_out = e->allow_out, .deny_out = e->deny_out};
    struct buf bytes;
    bool is_good;

    buf_init(&bytes, EGRESS_POLICY_MAX);
    egress_policy_bytes(&r, &bytes);
    is_good = buf_ok(&bytes);
    buf_done(&bytes);
    return is_good;
}

/* NULL: too many texts for one record, or for one message. */
static struct egress *egress_new(const struct codec_list *allow_out,
                                 const struct codec_list *deny_out, bool is_offline)
{
    struct egress *e = mem_zero(sizeof(*e));

    e->users = 1;
    e->is_offline = is_offline;
    arena_init(&e->mem, SANDBOX_MEM_MAX);
    if (copy_list(&e->mem, allow_out, &e->allow_out) &&
        copy_list(&e->mem, deny_out, &e->deny_out) && can_be_told(e))
        return e;
    egress_release(e);
    return NULL;
}

void egress_policy_bytes(const struct sandbox_record *r, struct buf *out)
{
    const struct egress_policy p = {
        .is_offline = r->is_offline, .allow_out = r->allow_out, .deny_out = r->deny_out};

    proto_encode(&egress_policy_message, &p, out);
}

/* Who does not hear it while node is away is told when it is back: egress_tell_all(). */
static void on_told(void *ctx, struct str id, uint64_t took_us, const struct err *err)
{
    ignore(ctx == NULL);
    ignore((long)(took_us + id.len));
    if (err != NULL && err->kind != ERR_NOT_FOUND)
        event_emit(ctx, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
}

static void tell_node(struct sandbox *s)
{
    struct domain *d = s->domain;
    struct node_policy m = {.id = s->r.id};
    struct buf policy;
    struct err err = {0};

    buf_init(&policy, EGRESS_POLICY_MAX);
    egress_policy_bytes(&s->r, &policy);
    m.policy = buf_str(&policy);
    if (node_client_policy(d->node, &m, d->config.start_timeout_ms, on_told, &err) != 0)
        on_told(d, s->r.id, 0, &err);
    buf_done(&policy);
}

void egress_tell_all(struct domain *d)
{
    size_t cursor = 0;
    struct sandbox *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        if (s->state == SANDBOX_RUNNING)
            tell_node(s);
    }
}

static void put_in_force(struct sandbox *s, struct egress *e)
{
    struct egress *old = s->egress;

    s->egress = hold(e);
    s->r.allow_out = e->allow_out;
    s->r.deny_out = e->deny_out;
    s->r.is_offline = e->is_offline;
    egress_release(old);
    tell_node(s);
}

static void on_stored(void *ctx, const struct err *err)
{
    struct op *op = ctx;
    struct sandbox *s = sandbox_find(op->domain, str_of(op->id));
    struct egress *e = op->egress;

    if (err != NULL)
        event_emit(op->domain, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
    else
        event_emit(op->domain, (struct event){.kind = EVENT_SANDBOX_UPDATED,
                                              .subject = str_of(op->id),
                                              .team_id = s != NULL ? s->r.team_id : (struct str){0},
                                              .detail = "network rules"});
    if (s != NULL && err == NULL) {
        egress_release(s->egress_stored);
        s->egress_stored = hold(e);
    } else if (s != NULL && s->egress == e) {
        put_in_force(s, s->egress_stored);
        sandbox_restore(s);
    }
    op_end(op, s, err);
    egress_release(e);
}

int sandbox_set_network(struct domain *d, const struct team *team, struct str id,
                        const struct network_change *change, struct err *err)
{
    struct sandbox *s = sandbox_require_running(d, team, id, err);
    struct egress *e, *was;
    struct op *op;

    if (s == NULL)
        return -1;
    if (s->egress == NULL) { /* the rules of its creation, to go back to */
        s->egress = egress_new(&s->r.allow_out, &s->r.deny_out, s->r.is_offline);
        if (s->egress == NULL)
            return err_set(err, ERR_LIMIT, "too many network rules");
        s->egress_stored = hold(s->egress);
    }
    e = egress_new(&change->allow_out, &change->deny_out, change->is_offline);
    if (e == NULL)
        return err_set(err, ERR_LIMIT, "too many network rules");
    was = hold(s->egress);
    put_in_force(s, e);
    if (sandbox_save(s, s->state, err) != 0) {
        put_in_force(s, was);
        egress_release(was);
        egress_release(e);
        return -1;
    }
    egress_release(was);
    op = op_new(d, s->r.id, change->fn, change->ctx);
    op->egress = e;
    store_commit(d->store, on_stored, op);
    return 0;
}

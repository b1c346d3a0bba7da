/* SPDX-License-Identifier: Apache-2.0 */
/* Changing a sandbox's egress rules. Called by api/sandbox_network.c.
 *
 * Like the end of a sandbox (sandbox_time.c), rules are in force at once, answered for once they
 * are durable, and go back to what is stored when the store fails. */
#include "domain/authority.h"
#include "domain/domain_internal.h"
#include "domain/network_rules.h"
#include "domain/quota.h"
#include "domain/sandbox.h"
#include "domain/secret.h"

/* One set of rules: held by the sandbox as what is in force and as what is durable, and by the
 * calls that are to make it durable. */
struct egress {
    unsigned users;
    struct egress_policy rules; /* with the password of its proxy; in mem */
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

/* A copy is what went through its own encoding. The limit of what egress is told holds before
 * anything is in force: half of the rules would be other rules. NULL: too many. */
static struct egress *egress_new(const struct egress_policy *rules)
{
    struct egress *e = mem_zero(sizeof(*e));
    struct buf bytes;
    bool is_good;

    e->users = 1;
    arena_init(&e->mem, SANDBOX_MEM_MAX);
    buf_init(&bytes, EGRESS_POLICY_MAX);
    proto_encode(&egress_policy_message, rules, &bytes);
    is_good = buf_ok(&bytes) &&
              proto_decode(&egress_policy_message, buf_str(&bytes), &e->mem, &e->rules, NULL) == 0;
    buf_done(&bytes);
    if (is_good)
        return e;
    egress_release(e);
    return NULL;
}

static struct egress_policy rules_of(const struct sandbox_record *r)
{
    return (struct egress_policy){.is_offline = r->is_offline,
                                  .allow_out = r->allow_out,
                                  .deny_out = r->deny_out,
                                  .rules = r->rules,
                                  .proxy = r->proxy};
}

void egress_policy_bytes(const struct sandbox *s, struct buf *out)
{
    struct egress_policy p = rules_of(&s->r);
    struct egress_proxy shown = {0};

    if (p.proxy != NULL)
        shown.address = p.proxy->address;
    p.proxy = p.proxy != NULL ? &shown : NULL;
    p.bytes_per_s = quota_limit(s->domain, s->team, TEAM_EGRESS_KB_S) << 10;
    p.connections_max = (uint32_t)quota_limit(s->domain, s->team, TEAM_EGRESS_CONNECTIONS);
    p.audit_percent = (uint32_t)quota_limit(s->domain, s->team, TEAM_EGRESS_AUDIT);
    proto_encode(&egress_policy_message, &p, out);
}

/* A name without a secret is left out: who uses it is told so, outside. */
static void secrets_bytes(const struct sandbox *s, struct buf *out)
{
    struct str names[EGRESS_SECRETS_USED_MAX];
    struct codec_pair values[EGRESS_SECRETS_USED_MAX];
    size_t count = network_rules_secrets(&s->r.rules, names), found = 0;
    struct egress_secrets all = {.authority = s->r.authority};

    for (size_t i = 0; i < count; i++) {
        const struct secret *one = secret_find(s->domain, s->team, names[i]);

        if (one != NULL)
            values[found++] = (struct codec_pair){one->r.name, one->r.value};
    }
    all.values = (struct codec_list){values, found};
    if (s->r.proxy != NULL) {
        all.proxy_username = s->r.proxy->username;
        all.proxy_password = s->r.proxy->password;
    }
    proto_encode(&egress_secrets_message, &all, out);
}

static bool has_secrets(const struct sandbox *s)
{
    return s->r.rules.count > 0 || s->r.proxy != NULL;
}

/* Who does not hear it while node is away is told when it is back: egress_tell_all(). */
static void on_told(void *ctx, struct str id, const struct node_result *result)
{
    ignore((long)id.len);
    if (result->err != NULL && result->err->kind != ERR_NOT_FOUND)
        event_emit(ctx, (struct event){.kind = EVENT_STORE_FAILED, .detail = result->err->text});
}

static void tell_failure(struct sandbox *s, const struct err *err)
{
    on_told(s->domain, s->r.id, &(struct node_result){.err = err});
}

static void tell_secrets(struct sandbox *s)
{
    struct domain *d = s->domain;
    struct node_policy m = {.id = s->r.id};
    struct buf bytes;
    struct err err = {0};

    buf_init(&bytes, EGRESS_SECRETS_MAX);
    secrets_bytes(s, &bytes);
    m.policy = buf_str(&bytes);
    if (!buf_ok(&bytes))
        ignore(err_set(&err, ERR_LIMIT, "the secrets of %.*s are too large", STR_ARG(s->r.id)));
    if (err.kind != ERR_NONE ||
        node_client_secrets(d->node, &m, d->config.start_timeout_ms, on_told, &err) != 0)
        tell_failure(s, &err);
    if (bytes.at != NULL)
        explicit_bzero(bytes.at, bytes.len);
    buf_done(&bytes);
}

void egress_begin(struct sandbox *s)
{
    if (has_secrets(s))
        tell_secrets(s);
}

static void tell_node(struct sandbox *s)
{
    struct domain *d = s->domain;
    struct node_policy m = {.id = s->r.id};
    struct buf policy;
    struct err err = {0};

    if (has_secrets(s) || s->egress != NULL) /* they may be gone now */
        tell_secrets(s);
    buf_init(&policy, EGRESS_POLICY_MAX + EGRESS_LIMITS_MAX);
    egress_policy_bytes(s, &policy);
    m.policy = buf_str(&policy);
    if (node_client_policy(d->node, &m, d->config.start_timeout_ms, on_told, &err) != 0)
        tell_failure(s, &err);
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

void egress_tell_team(struct domain *d, const struct team *team)
{
    size_t cursor = 0;
    struct sandbox *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        if (s->state == SANDBOX_RUNNING && s->team == team)
            tell_node(s);
    }
}

void network_secret_changed(struct domain *d, struct str team_id, struct str name)
{
    size_t cursor = 0;
    struct sandbox *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        struct str names[EGRESS_SECRETS_USED_MAX];
        size_t count;

        if (s->r.rules.count == 0 || !str_eq(s->r.team_id, team_id) ||
            (s->state != SANDBOX_RUNNING && s->state != SANDBOX_STARTING))
            continue;
        count = network_rules_secrets(&s->r.rules, names);
        for (size_t i = 0; i < count; i++) {
            if (str_ieq(names[i], name)) {
                tell_secrets(s);
                break;
            }
        }
    }
}

static void put_in_force(struct sandbox *s, struct egress *e)
{
    struct egress *old = s->egress;

    s->egress = hold(e);
    s->r.allow_out = e->rules.allow_out;
    s->r.deny_out = e->rules.deny_out;
    s->r.is_offline = e->rules.is_offline;
    s->r.rules = e->rules.rules;
    s->r.proxy = e->rules.proxy;
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

/* What is given away is what is in force: the sandbox trusts its authority by now, if it needs
 * one. */
static int set_network(struct sandbox *s, const struct egress_policy *rules, sandbox_done_fn *fn,
                       void *ctx, struct err *err)
{
    struct egress_policy before = rules_of(&s->r);
    struct egress *e, *was;
    struct op *op;

    if (s->egress == NULL) { /* the rules of its creation, to go back to */
        s->egress = egress_new(&before);
        if (s->egress == NULL)
            return err_set(err, ERR_LIMIT, "too many network rules");
        s->egress_stored = hold(s->egress);
    }
    e = egress_new(rules);
    if (e == NULL)
        return err_set(err, ERR_LIMIT, "too many network rules");
    was = hold(s->egress);
    put_in_force(s, e);
    if (sandbox_save(s, s->state, err) != 0) {
        put_in_force(s, was); /* NOLINT(clang-analyzer-unix.Malloc): counted, we hold it */
        egress_release(was);
        egress_release(e);
        return -1;
    }
    egress_release(was); /* NOLINT(clang-analyzer-unix.Malloc): counted, as above */
    op = op_new(s->domain, s->r.id, fn, ctx);
    op->egress = e;
    store_commit(s->domain->store, on_stored, op);
    return 0;
}

/* The rules that waited until their sandbox trusts its authority. */
static void on_trusted(struct trust *t, const struct err *err)
{
    struct sandbox *s = sandbox_find(t->domain, str_of(t->id));
    struct err why = {0};

    if (err == NULL && (s == NULL || s->state != SANDBOX_RUNNING)) {
        ignore(sandbox_missing(&why, str_of(t->id)));
        err = &why;
    }
    if (err == NULL && set_network(s, &t->egress->rules, t->fn, t->ctx, &why) != 0)
        err = &why;
    if (err != NULL && s != NULL && s->r.rules.count == 0)
        s->r.authority = NULL; /* the next ones try again */
    if (err != NULL)
        t->fn(t->ctx, NULL, err);
    authority_free(t);
}

int sandbox_set_network(struct domain *d, const struct team *team, struct str id,
                        const struct network_change *change, struct err *err)
{
    struct sandbox *s = sandbox_require_running(d, team, id, err);
    const struct egress_policy rules = {.is_offline = change->is_offline,
                                        .allow_out = change->allow_out,
                                        .deny_out = change->deny_out,
                                        .rules = change->rules,
                                        .proxy = change->proxy};
    struct trust model = {.fn = change->fn, .ctx = change->ctx, .then = on_trusted};

    if (s == NULL)
        return -1;
    if (rules.rules.count == 0 || s->r.authority != NULL)
        return set_network(s, &rules, change->fn, change->ctx, err);
    model.egress = egress_new(&rules);
    if (model.egress == NULL)
        return err_set(err, ERR_LIMIT, "too many network rules");
    if (authority_make(s, err) != 0) {
        egress_release(model.egress);
        return -1;
    }
    authority_install(s, &model);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Creation: check, reserve, record, start, commit, show. Called by api/sandboxes.c.
 *
 * The record "starting" is queued but not committed by itself: it travels with the next commit.
 * What it is for (finding the remains after a crash) the node's list does as well, so it is not
 * worth a disk write that the commit of "running" would have to wait for. */
#include "base/clock.h"
#include "base/id.h"
#include "domain/authority.h"
#include "domain/creation.h"
#include "domain/domain_internal.h"
#include "domain/guest_init.h"
#include "domain/guest_start.h"
#include "domain/nodes.h"
#include "domain/quota.h"
#include "domain/sandbox.h"
#include "domain/template_use.h"

enum {
    ID_TRIES = 5, /* an id that is taken is never given out again (AC-11) */
};

/* Everything random of a new sandbox. */
struct names {
    char id[SANDBOX_ID_LEN + 1];
    char access_token[TOKEN_HEX_LEN + 1];
    char control_token[TOKEN_HEX_LEN + 1];
    char traffic_token[TOKEN_HEX_LEN + 1];
};

static int timeout_refused(struct err *err, uint64_t max_s)
{
    bool is_hours = max_s % 3600 == 0;

    return err_set(err, ERR_INVALID, "Timeout cannot be greater than %llu %s",
                   (unsigned long long)(is_hours ? max_s / 3600 : max_s),
                   is_hours ? "hours" : "seconds");
}

int sandbox_check_timeout(const struct domain *d, const struct team *team, int64_t seconds,
                          struct err *err)
{
    uint64_t max_s = team_timeout_max_s(d, team);

    if (seconds == SANDBOX_NO_TIMEOUT && d->config.may_be_unlimited)
        return 0;
    if (seconds <= 0)
        return err_set(err, ERR_INVALID, "Timeout must be greater than 0");
    if ((uint64_t)seconds > max_s)
        return timeout_refused(err, max_s);
    return 0;
}

static void choose_names(const struct domain *d, struct names *n)
{
    for (int i = 0; i < ID_TRIES; i++) {
        id_sandbox(n->id);
        if (sandbox_find(d, str_of(n->id)) == NULL)
            break;
    }
    id_token(n->access_token);
    id_token(n->control_token);
    id_token(n->traffic_token);
}

static void fill(struct sandbox_record *r, const struct sandbox_params *p,
                 const struct template_record *t, struct str alias, struct names *n)
{
    *r = (struct sandbox_record){
        .id = str_of(n->id),
        .team_id = p->team->r.id,
        .template_id = t->id,
        .alias = alias,
        .build_id = t->build_id,
        .rootfs = t->rootfs,
        .layers = t->layers,
        .snapshot = t->snapshot,
        .state = SANDBOX_STARTING,
        .created_at_ms = clock_wall_ms(),
        .timeout_s = p->timeout_s,
        .idle_s = p->is_idle && p->timeout_s > 0 ? p->timeout_s : 0,
        .is_unlimited = p->timeout_s < 0,
        .access_token = str_of(n->access_token),
        .control_token = str_of(n->control_token),
        .traffic_token = p->is_private ? str_of(n->traffic_token) : (struct str){0},
        .is_secure = p->is_secure,
        .is_private = p->is_private,
        .is_offline = p->is_offline,
        .mask_host = p->mask_host,
        .pauses_at_end = p->pauses_at_end,
        .pauses_files_only = p->pauses_files_only,
        .may_resume = p->may_resume,
        .allow_out = p->allow_out,
        .deny_out = p->deny_out,
        .rules = p->rules,
        .proxy = p->proxy,
        .metadata = p->metadata,
        .env = p->env,
        .cpu_count = t->cpu_count,
        .memory_mb = t->memory_mb,
        .disk_mb = t->disk_mb,
        .user = t->user,
        .workdir = t->workdir,
        .template_env = t->env,
    };
}

/* A record that owns its texts is a record that went through its own encoding. */
static int make(struct domain *d, const struct sandbox_params *p, const struct template_record *t,
                struct str alias, struct sandbox **out, struct err *err)
{
    struct sandbox_record r;
    struct names names;
    struct buf bytes;
    int result = 0;

    if (d->sandboxes.count >= DOMAIN_SANDBOXES_MAX)
        return err_set(err, ERR_LIMIT, "too many sandboxes");
    choose_names(d, &names);
    fill(&r, p, t, alias, &names);
    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&sandbox_record_message, &r, &bytes);
    /* Not ERR_LIMIT: trying again does not make it smaller. */
    if (!buf_ok(&bytes) || sandbox_new(d, buf_str(&bytes), out, err) != 0)
        result = err_set(err, ERR_INVALID, "metadata, envVars and network are too large together");
    buf_done(&bytes);
    explicit_bzero(&names, sizeof(names));
    return result;
}

static void answer_creators(struct sandbox *s, const struct sandbox *result, const struct err *err)
{
    struct list_node *at;

    while ((at = list_pop(&s->creators)) != NULL)
        op_end(container_of(at, struct op, node), result, err);
}

void sandbox_start_failed(struct sandbox *s, const struct err *why)
{
    struct list_node *at;

    s->domain->counters.create_failed++;
    creation_forget(s->domain, take_ptr(&s->creation)); /* a repetition tries again */
    event_emit(s->domain, (struct event){.kind = EVENT_SANDBOX_CREATE_FAILED,
                                         .subject = s->r.id,
                                         .team_id = s->r.team_id,
                                         .detail = why->text});
    /* Answered when the remains are gone; without node nobody knows when that will be. */
    if (!node_client_is_ready(s->domain->node))
        answer_creators(s, NULL, why);
    for (at = list_first(&s->creators); at != NULL; at = list_next(&s->creators, at))
        container_of(at, struct op, node)->err = *why;
    sandbox_end(s, KILL_ORPHANED);
}

static void run(struct sandbox *s)
{
    s->end_stored_ms = s->r.end_at_ms;
    s->idle_stored_s = s->r.idle_s;
    s->is_unlimited_stored = s->r.is_unlimited;
    if (s->creation != NULL)
        creation_keep(s->domain, take_ptr(&s->creation));
    s->domain->counters.created++;
    sandbox_move(s, SANDBOX_RUNNING);
}

/* The record "running" is durable: only now does the sandbox exist for anybody. */
static void on_stored(void *ctx, const struct err *err)
{
    struct op *commit = ctx;
    struct domain *d = commit->domain;
    struct event_draft *created = commit->draft;
    struct sandbox *s = sandbox_find(d, str_of(commit->id));
    bool is_awaited = s != NULL && s->state == SANDBOX_STARTING; /* else it ended meanwhile, and its
                                                                    creator was told */

    op_end(commit, NULL, NULL);
    if (is_awaited && err == NULL)
        run(s);
    else if (s != NULL && err != NULL)
        s->r.started_at_ms = 0; /* what did not begin has no end to tell of */
    event_settle(d, created, err == NULL);
    if (!is_awaited)
        return;
    if (err == NULL) {
        answer_creators(s, s, NULL);
        return;
    }
    event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
    sandbox_start_failed(s, err);
}

static int save_start(struct sandbox *s, struct event_draft **out_created, struct err *err)
{
    struct event created = {.kind = EVENT_SANDBOX_CREATED,
                            .subject = s->r.id,
                            .team_id = s->r.team_id,
                            .took_us = s->start_us};

    if (sandbox_save(s, SANDBOX_RUNNING, err) != 0 ||
        template_use_add(s->domain, s->r.template_id, s->r.started_at_ms, err) != 0 ||
        (s->creation != NULL && creation_save(s->domain, s->creation, err) != 0))
        return -1;
    return event_prepare(s->domain, created, out_created, err);
}

/* It runs, and has all it needs: from now on the store decides. */
static void keep_started(struct sandbox *s)
{
    struct domain *d = s->domain;
    struct event_draft *created;
    struct err why = {0};
    struct op *commit;

    s->r.started_at_ms = clock_wall_ms();
    s->r.end_at_ms = sandbox_end_after(s->r.started_at_ms, s->r.timeout_s);
    if (save_start(s, &created, &why) != 0) {
        s->r.started_at_ms = 0;
        /* Over what may be queued already; a store too far behind for it has the same cause. */
        ignore(sandbox_save(s, SANDBOX_STARTING, NULL));
        sandbox_start_failed(s, &why);
        return;
    }
    commit = op_new(d, s->r.id, NULL, NULL);
    commit->draft = created;
    store_commit(d->store, on_stored, commit);
}

static void on_trusted(struct trust *t, const struct err *err)
{
    struct sandbox *s = sandbox_find(t->domain, str_of(t->id));

    authority_free(t);
    if (s == NULL || s->state != SANDBOX_STARTING)
        return; /* given up meanwhile */
    if (err != NULL)
        sandbox_start_failed(s, err);
    else
        keep_started(s);
}

static void on_started(void *ctx, struct str id, const struct node_result *result)
{
    static const struct trust model = {.then = on_trusted};
    struct sandbox *s = sandbox_find(ctx, id);

    if (s == NULL || s->state != SANDBOX_STARTING)
        return; /* given up: the stop is on its way */
    if (result->err != NULL) {
        sandbox_start_failed(s, result->err);
        return;
    }
    s->start_us = result->took_us;
    if (s->r.authority != NULL)
        authority_install(s, &model);
    else
        keep_started(s);
}

static int start_guest(struct sandbox *s, struct err *err)
{
    struct domain *d = s->domain;
    struct guest_start g;
    int result = guest_start_init(&g, s, err);

    if (result == 0)
        result = node_client_start(d->node, &g.m, d->config.start_timeout_ms, on_started, err);
    guest_start_done(&g);
    return result;
}

void sandbox_await_start(struct sandbox *s, sandbox_done_fn *fn, void *ctx)
{
    struct op *op = op_new(s->domain, s->r.id, fn, ctx);

    list_remove(&op->node);
    list_push(&s->creators, &op->node);
}

/* The same request again: what it made before, as it is now. */
static int repeat(struct domain *d, const struct creation *made, const struct creation_ask *ask,
                  sandbox_done_fn *fn, void *ctx, struct err *err)
{
    struct sandbox *s = sandbox_find(d, made->r.sandbox_id);

    if (!str_is(made->r.digest, ask->digest))
        return err_set(err, ERR_CONFLICT,
                       "This Idempotency-Key was used with other parameters, for sandbox \"%.*s\"",
                       STR_ARG(made->r.sandbox_id));
    if (s != NULL && s->state == SANDBOX_STARTING) {
        d->counters.create_repeated++;
        sandbox_await_start(s, fn, ctx);
        return 0;
    }
    if (s == NULL || !sandbox_is_shown(s, clock_wall_ms()))
        return err_set(err, ERR_EXISTS,
                       "Sandbox \"%.*s\", which this Idempotency-Key created, has ended",
                       STR_ARG(made->r.sandbox_id));
    d->counters.create_repeated++;
    fn(ctx, s, NULL);
    return 0;
}

int sandbox_launch(struct domain *d, const struct sandbox_params *p,
                   const struct template_record *t, struct str alias, struct sandbox **out,
                   struct err *err)
{
    struct sandbox *s;

    if (guest_init_check_env(&p->env, &t->env, err) != 0 || make(d, p, t, alias, &s, err) != 0)
        return -1;
    s->team = p->team;
    if (p->rules.count > 0 && authority_make(s, err) != 0) {
        sandbox_free(s);
        return -1;
    }
    if (quota_take(d, s, err) != 0 || start_guest(s, err) != 0) {
        sandbox_free(s);
        return -1;
    }
    if (sandbox_save(s, SANDBOX_STARTING, err) != 0) {
        sandbox_end(s, KILL_ORPHANED); /* the command has left */
        return -1;
    }
    *out = s;
    return 0;
}

/* A template with memory goes on only where that can be done. */
static int check_lasting(const struct domain *d, const struct sandbox_params *p, struct err *err)
{
    struct node_info node;

    if (!p->pauses_at_end)
        return 0;
    nodes_get(d, &node);
    if (node.has_report &&
        !(p->pauses_files_only ? node.report.can_snapshot_files : node.report.can_checkpoint))
        return err_set(err, ERR_UNSUPPORTED, "autoPause%s: %.*s",
                       p->pauses_files_only ? "" : " with memory",
                       STR_ARG(node.report.lasting_note));
    return 0;
}

/* `ask` NULL: nothing will be remembered. */
static int create(struct domain *d, const struct sandbox_params *p, const struct creation_ask *ask,
                  struct sandbox **out, struct err *err)
{
    const struct template *t;

    if (nodes_check_placing(d, err) != 0 || check_lasting(d, p, err) != 0 ||
        sandbox_check_timeout(d, p->team, p->timeout_s, err) != 0 ||
        template_resolve(d, p->team, p->template_ref, &t, err) != 0 ||
        sandbox_launch(d, p, &t->r, template_alias(t), out, err) != 0)
        return -1;
    if (ask != NULL)
        (*out)->creation = creation_new(d, ask, (*out)->r.id);
    return 0;
}

int sandbox_create(struct domain *d, const struct sandbox_params *p, sandbox_done_fn *fn, void *ctx,
                   struct err *err)
{
    bool may_repeat = p->repeat_key.len > 0;
    struct creation_ask ask = {0};
    const struct creation *made;
    struct sandbox *s;

    if (may_repeat) {
        creation_ask(p, &ask);
        made = creation_find(d, str_of(ask.key));
        if (made != NULL)
            return repeat(d, made, &ask, fn, ctx, err);
    }
    if (create(d, p, may_repeat ? &ask : NULL, &s, err) != 0)
        return -1;
    sandbox_await_start(s, fn, ctx);
    return 0;
}

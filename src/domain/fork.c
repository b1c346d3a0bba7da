/* SPDX-License-Identifier: Apache-2.0 */
/* See fork.h. The snapshot has no record: when api ends in between, the next comparison with node
 * removes it, and copies that nobody was told of end as starts do that nobody waits for. */
#include "domain/fork.h"

#include "domain/domain_internal.h"
#include "domain/nodes.h"
#include "domain/snapshot.h"

struct copy {
    struct fork *fork;
    char id[SANDBOX_KEY_MAX + 1]; /* empty: failed */
    struct err err;
};

struct fork {
    struct list_node node; /* in domain->forks */
    struct domain *domain;
    struct arena mem;             /* owns the texts of source */
    struct sandbox_record source; /* as it was when it was asked */
    char snapshot[SANDBOX_KEY_MAX + 1];
    size_t open; /* starts that are not answered */
    struct fork_ask ask;
    struct copy copies[];
};

static void fork_free(struct fork *f)
{
    list_remove(&f->node);
    arena_done(&f->mem);
    free(f);
}

void fork_done(struct domain *d)
{
    struct list_node *at;

    while ((at = list_first(&d->forks)) != NULL)
        fork_free(container_of(at, struct fork, node));
}

static void finish(struct fork *f)
{
    struct domain *d = f->domain;
    struct fork_result *results;

    if (f->open > 0)
        return;
    results = mem_array(f->ask.count, sizeof(*results));
    for (size_t i = 0; i < f->ask.count; i++) {
        struct copy *c = &f->copies[i];

        results[i] = (struct fork_result){.err = c->err};
        if (c->id[0] != '\0')
            results[i].sandbox = sandbox_find(d, str_of(c->id));
        if (results[i].sandbox == NULL && c->err.kind == ERR_NONE)
            err_set(&results[i].err, ERR_NOT_FOUND, "the sandbox ended while others started");
        d->counters.forks += results[i].sandbox != NULL;
    }
    snapshot_drop(d, str_of(f->snapshot));
    f->ask.fn(f->ask.ctx, results, f->ask.count, NULL);
    free(results);
    fork_free(f);
}

static void on_started(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct copy *c = ctx;
    struct fork *f = c->fork;

    if (err != NULL)
        c->err = *err;
    else if (s != NULL)
        ignore(str_to_c(s->r.id, c->id, sizeof(c->id)));
    f->open--;
    finish(f);
}

static void start_one(struct fork *f, const struct team *team, const struct template_record *t,
                      struct copy *c)
{
    const struct sandbox_record *r = &f->source;
    const struct sandbox_params p = {
        .team = map_get(&f->domain->teams, team->r.id),
        .timeout_s = f->ask.seconds,
        .is_secure = r->is_secure,
        .is_private = r->is_private,
        .is_offline = r->is_offline,
        .is_idle = r->idle_s > 0,
        .pauses_at_end = r->pauses_at_end,
        .pauses_files_only = r->pauses_files_only,
        .may_resume = r->may_resume,
        .mask_host = r->mask_host,
        .allow_out = r->allow_out,
        .deny_out = r->deny_out,
        .rules = r->rules, /* under an authority of its own: sandbox_launch() */
        .proxy = r->proxy,
        .metadata = r->metadata,
        .env = r->env,
    };
    struct sandbox *s;

    c->fork = f;
    if (sandbox_launch(f->domain, &p, t, r->alias, &s, &c->err) != 0)
        return;
    f->open++;
    sandbox_await_start(s, on_started, c);
}

static void on_snapshot(void *ctx, const struct snapshot *made, const struct err *err)
{
    struct fork *f = ctx;
    const struct team *team = map_get(&f->domain->teams, f->source.team_id);
    struct template_record t;
    struct err why = {0};

    if (err != NULL)
        why = *err;
    else if (team == NULL)
        err_set(&why, ERR_NOT_FOUND, "the team is gone");
    if (why.kind != ERR_NONE) {
        f->ask.fn(f->ask.ctx, NULL, 0, &why);
        fork_free(f);
        return;
    }
    ignore(str_to_c(made->r.id, f->snapshot, sizeof(f->snapshot))); /* as long as ids are */
    t = made->as.r;
    t.id = f->source.template_id; /* a copy is of the template that its source is of */
    t.build_id = f->source.build_id;
    t.env = f->source.template_env;
    f->open = 1; /* ours, so that an early answer does not end it */
    for (size_t i = 0; i < f->ask.count; i++)
        start_one(f, team, &t, &f->copies[i]);
    f->open--;
    finish(f);
}

static int copy_record(struct fork *f, const struct sandbox_record *r, struct err *err)
{
    struct buf bytes;
    int result;

    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&sandbox_record_message, r, &bytes);
    result = buf_ok(&bytes)
                 ? proto_decode(&sandbox_record_message, buf_str(&bytes), &f->mem, &f->source, err)
                 : err_set(err, ERR_LIMIT, "sandbox record too large");
    buf_done(&bytes);
    return result;
}

int sandbox_fork(struct domain *d, const struct team *team, struct str id,
                 const struct fork_ask *ask, struct err *err)
{
    struct snapshot_ask snapshot = {
        .keeps_memory = ask->keeps_memory, .is_passing = true, .fn = on_snapshot};
    struct sandbox *s;
    struct fork *f;

    if (nodes_check_placing(d, err) != 0 ||
        sandbox_check_timeout(d, team, ask->seconds, err) != 0 ||
        (s = sandbox_require(d, team, id, err)) == NULL)
        return -1;
    f = mem_zero(sizeof(*f) + ask->count * sizeof(f->copies[0]));
    f->domain = d;
    f->ask = *ask;
    arena_init(&f->mem, SANDBOX_MEM_MAX);
    list_push(&d->forks, &f->node);
    snapshot.ctx = f;
    if (copy_record(f, &s->r, err) != 0 || sandbox_snapshot(d, team, id, &snapshot, err) != 0) {
        fork_free(f);
        return -1;
    }
    return 0;
}

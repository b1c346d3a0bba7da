/* SPDX-License-Identifier: Apache-2.0 */
/* Making a snapshot of a sandbox that goes on running. Called by api/snapshots.c and fork.c. */
#include "base/clock.h"
#include "base/id.h"
#include "domain/domain_internal.h"
#include "domain/snapshot.h"

enum {
    SNAPSHOT_MS = 5 * 60 * 1000, /* for node */
};

/* One that is being made: of which sandbox, and who waits. */
struct making {
    struct list_node node; /* in domain->makings */
    struct domain *domain;
    char id[SANDBOX_ID_LEN + 1]; /* of the snapshot */
    char sandbox[SANDBOX_KEY_MAX + 1];
    uint64_t took_us;
    bool is_passing;
    struct event_draft *draft;
    snapshot_done_fn *fn;
    void *ctx;
};

void makings_done(struct domain *d)
{
    struct list_node *at;

    while ((at = list_pop(&d->makings)) != NULL)
        free(container_of(at, struct making, node));
}

/* The sandbox goes on, if it is there still. */
static void release(struct making *m)
{
    struct sandbox *s = sandbox_find(m->domain, str_of(m->sandbox));

    if (s != NULL && s->state == SANDBOX_SNAPSHOTTING)
        sandbox_move(s, SANDBOX_RUNNING);
}

static void making_end(struct making *m, const struct err *err)
{
    struct domain *d = m->domain;
    struct snapshot *made = map_get(&d->snapshots, str_of(m->id));

    list_remove(&m->node);
    if (err != NULL) {
        struct sandbox *s = sandbox_find(d, str_of(m->sandbox));

        d->counters.snapshots_failed++;
        event_emit(d, (struct event){.kind = EVENT_SANDBOX_CHECKPOINT_FAILED,
                                     .subject = str_of(m->sandbox),
                                     .team_id = s != NULL ? s->r.team_id : (struct str){0},
                                     .detail = err->text});
    }
    release(m);
    m->fn(m->ctx, err == NULL ? made : NULL, err);
    if (err != NULL)
        snapshot_drop(d, str_of(m->id));
    free(m);
}

/* The build that had the tag before is nobody's any more. */
static void replace(struct domain *d, const struct snapshot *fresh)
{
    size_t cursor = 0;
    struct snapshot *s;

    while ((s = map_next(&d->snapshots, &cursor)) != NULL) {
        if (s == fresh || !s->is_durable || !str_eq(s->r.template_id, fresh->r.template_id) ||
            !str_eq(s->r.tag, fresh->r.tag))
            continue;
        s->is_durable = false; /* its record went with the commit of the new one */
        snapshot_drop(d, s->r.id);
    }
}

static void on_stored(void *ctx, const struct err *err)
{
    struct making *m = ctx;
    struct domain *d = m->domain;
    struct snapshot *made = map_get(&d->snapshots, str_of(m->id));

    event_settle(d, m->draft, err == NULL);
    if (err == NULL) {
        made->is_durable = true;
        d->counters.snapshots++;
        replace(d, made);
    } else {
        event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
    }
    making_end(m, err);
}

static int save(struct making *m, struct snapshot *made, struct err *err)
{
    struct domain *d = m->domain;
    size_t cursor = 0;
    const struct snapshot *old;

    while ((old = map_next(&d->snapshots, &cursor)) != NULL) {
        if (old->is_durable && str_eq(old->r.template_id, made->r.template_id) &&
            str_eq(old->r.tag, made->r.tag) &&
            store_remove(d->store, STORE_SNAPSHOT, old->r.id, err) != 0)
            return -1;
    }
    if (snapshot_save(d, made, err) != 0)
        return -1;
    return event_prepare(d,
                         (struct event){.kind = EVENT_SANDBOX_CHECKPOINTED,
                                        .subject = str_of(m->sandbox),
                                        .team_id = made->r.team_id,
                                        .took_us = m->took_us},
                         &m->draft, err);
}

static void on_made(struct making *m, const struct err *failed)
{
    struct snapshot *made = map_get(&m->domain->snapshots, str_of(m->id));
    struct err err = {0};

    if (failed != NULL)
        making_end(m, failed);
    else if (m->is_passing)
        making_end(m, NULL);
    else if (save(m, made, &err) != 0)
        making_end(m, &err);
    else
        store_commit(m->domain->store, on_stored, m);
}

/* Node's answer names the sandbox, of which one at most is being made. */
static void on_answer(void *ctx, struct str id, const struct node_result *result)
{
    struct domain *d = ctx;

    for (struct list_node *at = list_first(&d->makings); at != NULL;
         at = list_next(&d->makings, at)) {
        struct making *m = container_of(at, struct making, node);

        if (!str_is(id, m->sandbox))
            continue;
        m->took_us = result->took_us;
        on_made(m, result->err);
        return;
    }
}

/* What a template holds, out of the sandbox's record. */
static void fill(const struct sandbox *s, struct arena *mem, struct snapshot_record *r)
{
    size_t own = s->r.env.count, base = s->r.template_env.count;
    struct codec_pair *env = arena_array(mem, own + base + 1, sizeof(*env));

    r->team_id = s->r.team_id;
    r->sandbox_id = s->r.id;
    r->rootfs = s->r.rootfs;
    r->layers = s->r.layers;
    r->created_at_ms = clock_wall_ms();
    r->cpu_count = s->r.cpu_count;
    r->memory_mb = s->r.memory_mb;
    r->disk_mb = s->r.disk_mb;
    r->user = s->r.user;
    r->workdir = s->r.workdir;
    if (env == NULL)
        return; /* the arena has room for two records */
    if (base > 0)
        memcpy(env, s->r.template_env.items, base * sizeof(*env));
    if (own > 0)
        memcpy(env + base, s->r.env.items, own * sizeof(*env)); /* of two, the last one counts */
    r->env = (struct codec_list){env, own + base};
}

/* The template it becomes a build of: that of its name, or one of its own. */
static int name_it(struct domain *d, const struct team *team, struct str reference,
                   struct arena *mem, struct snapshot_record *r, struct err *err)
{
    struct template_name n;
    char id[SANDBOX_ID_LEN + 1];
    size_t cursor = 0;
    const struct snapshot *s;

    id_sandbox(id);
    r->template_id = arena_str(mem, str_of(id));
    r->tag = STR("default");
    if (reference.len == 0)
        return 0;
    if (template_name_parse(reference, mem, &n, err) != 0)
        return -1;
    if (n.space.len > 0 && !str_eq(n.space, team->r.name))
        return err_set(err, ERR_INVALID, "namespace '%.*s' must match your team '%.*s'",
                       STR_ARG(n.space), STR_ARG(team->r.name));
    if (template_by_name(d, n.name) != NULL)
        return err_set(err, ERR_EXISTS, "Alias '%.*s' is already used", STR_ARG(n.name));
    r->name = n.name;
    r->tag = n.tag;
    while ((s = map_next(&d->snapshots, &cursor)) != NULL)
        if (str_eq(s->r.team_id, team->r.id) && str_eq(s->r.name, n.name))
            r->template_id = s->r.template_id;
    return 0;
}

/* Everything of it but the work. */
static struct snapshot *prepare(struct domain *d, const struct sandbox *s,
                                const struct snapshot_ask *ask, struct err *err)
{
    struct snapshot_record r = {.has_memory = ask->keeps_memory};
    char id[SANDBOX_ID_LEN + 1], build[UUID_LEN + 1];
    struct snapshot *made = NULL;
    struct arena mem;

    arena_init(&mem, SANDBOX_MEM_MAX);
    id_sandbox(id);
    id_uuid(build);
    r.id = str_of(id);
    r.build_id = str_of(build);
    fill(s, &mem, &r);
    if (name_it(d, s->team, ask->name, &mem, &r, err) == 0)
        made = snapshot_new(d, &r, err);
    arena_done(&mem);
    return made;
}

static struct sandbox *require(struct domain *d, const struct team *team, struct str id,
                               const struct snapshot_ask *ask, struct err *err)
{
    struct sandbox *s = sandbox_require(d, team, id, err);
    const char *what = ask->is_passing ? "forked" : "snapshotted";

    if (s == NULL || s->state == SANDBOX_RUNNING)
        return s;
    if (s->state == SANDBOX_PAUSED && ask->is_passing)
        err_set(err, ERR_CONFLICT, "Sandbox '%.*s' is paused and cannot be forked; resume it first",
                STR_ARG(s->r.id));
    else
        err_set(err, ERR_CONFLICT, "Sandbox '%.*s' cannot be %s while in '%s' state",
                STR_ARG(s->r.id), what, sandbox_state_row(s->state)->name);
    return NULL;
}

int sandbox_snapshot(struct domain *d, const struct team *team, struct str id,
                     const struct snapshot_ask *ask, struct err *err)
{
    struct sandbox *s = require(d, team, id, ask, err);
    struct node_keep keep = {.keeps_memory = ask->keeps_memory};
    struct snapshot *made;
    struct making *m;

    if (s == NULL)
        return -1;
    if (snapshot_count(d, team) >= SNAPSHOTS_MAX)
        return err_set(err, ERR_LIMIT, "you have reached the maximum number of snapshots (%d)",
                       SNAPSHOTS_MAX);
    made = prepare(d, s, ask, err);
    if (made == NULL)
        return -1;
    keep.id = s->r.id;
    keep.name = made->r.id;
    if (node_client_snapshot(d->node, &keep, SNAPSHOT_MS, on_answer, err) != 0) {
        snapshot_free(d, made);
        return -1;
    }
    m = mem_zero(sizeof(*m));
    *m =
        (struct making){.domain = d, .is_passing = ask->is_passing, .fn = ask->fn, .ctx = ask->ctx};
    ignore(str_to_c(made->r.id, m->id, sizeof(m->id)));        /* both are as long as */
    ignore(str_to_c(s->r.id, m->sandbox, sizeof(m->sandbox))); /* ids are */
    list_push(&d->makings, &m->node);
    sandbox_move(s, SANDBOX_SNAPSHOTTING);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Teams: read at start, the first one made then, others by operators. Used by api/gate.c,
 * api/team_admin.c and the files of this folder. */
#include "domain/team.h"

#include "base/clock.h"
#include "base/id.h"
#include "domain/domain_internal.h"
#include "domain/key_import.h"
#include "domain/quota.h"

static const char default_name[] = "default";

/* One creation or change waiting for its commit. */
struct team_op {
    struct list_node node; /* in domain->team_ops */
    struct domain *domain;
    struct team *team; /* of a creation: owned, not yet in the map */
    bool is_new;
    struct buf record; /* of a change: what to become */
    team_done_fn *fn;
    void *ctx;
    char actor[ACTOR_MAX + 1];
};

static void team_free(struct team *t)
{
    free(t->sandboxes);
    arena_done(&t->mem);
    free(t);
}

static int decode(struct str record, struct arena *mem, struct team_record *out, struct err *err)
{
    *out = (struct team_record){0};
    if (proto_decode(&team_record_message, record, mem, out, err) != 0)
        return -1;
    return out->id.len > 0 ? 0 : err_set(err, ERR_INVALID, "not a team record");
}

static struct team *team_new(struct str record, struct err *err)
{
    struct team *t = mem_zero(sizeof(*t));

    arena_init(&t->mem, TEAM_MEM_MAX);
    if (decode(record, &t->mem, &t->r, err) == 0)
        return t;
    team_free(t);
    return NULL;
}

static void publish(struct domain *d, struct team *t)
{
    map_put(&d->teams, t->r.id, t);
    if (d->team_default == NULL || str_is(t->r.name, default_name))
        d->team_default = t;
}

static int add(struct domain *d, struct str record, struct err *err)
{
    struct team *t = team_new(record, err);

    if (t == NULL)
        return -1;
    if (map_get(&d->teams, t->r.id) != NULL || d->teams.count >= TEAMS_MAX) {
        team_free(t);
        return err_set(err, ERR_INVALID, "a team twice, or too many teams");
    }
    publish(d, t);
    return 0;
}

/* Encoded as it will be stored, and known to be readable again. */
static int encode(const struct team_record *r, struct buf *bytes, struct err *err)
{
    struct team_record copy;
    struct arena mem;
    int result;

    buf_init(bytes, STORE_VALUE_MAX);
    proto_encode(&team_record_message, r, bytes);
    if (!buf_ok(bytes))
        return err_set(err, ERR_LIMIT, "team record too large");
    arena_init(&mem, TEAM_MEM_MAX);
    result = decode(buf_str(bytes), &mem, &copy, err);
    arena_done(&mem);
    return result;
}

static int save(struct domain *d, const struct team_record *r, struct buf *bytes, struct err *err)
{
    if (encode(r, bytes, err) != 0)
        return -1;
    return store_put(d->store, STORE_TEAM, r->id, buf_str(bytes), err);
}

static void on_first_stored(void *ctx, const struct err *err)
{
    struct domain *d = ctx;

    if (err != NULL)
        event_emit(d, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
}

static int add_default(struct domain *d, struct err *err)
{
    char id[UUID_LEN + 1];
    struct team_record r = {.name = str_of(default_name), .created_at_ms = clock_wall_ms()};
    struct buf bytes;
    int result;

    id_uuid(id);
    r.id = str_of(id);
    result = save(d, &r, &bytes, err);
    if (result == 0)
        result = add(d, buf_str(&bytes), err);
    buf_done(&bytes);
    if (result != 0)
        return -1;
    store_commit(d->store, on_first_stored, d);
    event_emit(d, (struct event){.kind = EVENT_TEAM_CREATED, .subject = r.name});
    return 0;
}

int team_load(struct domain *d, struct err *err)
{
    if (record_each(d, STORE_TEAM, "team", add, err) != 0)
        return -1;
    return d->teams.count == 0 ? add_default(d, err) : 0;
}

static void op_free(struct team_op *op)
{
    list_remove(&op->node);
    buf_done(&op->record);
    free(op);
}

void team_done(struct domain *d)
{
    size_t cursor = 0;
    struct list_node *at;
    struct team *t;

    while ((at = list_first(&d->team_ops)) != NULL) {
        struct team_op *op = container_of(at, struct team_op, node);

        if (op->is_new)
            team_free(op->team);
        op_free(op);
    }
    while ((t = map_next(&d->teams, &cursor)) != NULL)
        team_free(t);
    map_done(&d->teams);
}

struct team *team_find(const struct domain *d, struct str id_or_name)
{
    struct team *t = map_get(&d->teams, id_or_name);
    size_t cursor = 0;

    if (t != NULL)
        return t;
    while ((t = map_next(&d->teams, &cursor)) != NULL)
        if (str_eq(t->r.name, id_or_name))
            return t;
    return NULL;
}

struct team *team_default(const struct domain *d)
{
    return d->team_default;
}

uint64_t team_timeout_max_s(const struct domain *d, const struct team *t)
{
    return quota_limit(d, t, TEAM_TIMEOUT_S);
}

bool team_name_is_good(struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return name.len > 0 && name.len <= TEAM_NAME_MAX && name.at[0] != '-' &&
           name.at[name.len - 1] != '-';
}

static bool is_taken(const struct domain *d, struct str name)
{
    for (struct list_node *at = list_first(&d->team_ops); at != NULL;
         at = list_next(&d->team_ops, at)) {
        const struct team_op *op = container_of(at, struct team_op, node);

        if (op->is_new && str_eq(op->team->r.name, name))
            return true;
    }
    return team_find(d, name) != NULL;
}

static int apply(struct team_record *r, const struct team_change *c, struct err *err)
{
    if (c->has_tier && !quota_is_tier(c->tier))
        return err_set(err, ERR_INVALID, "there is no tier '%.*s'", STR_ARG(str_upto(c->tier, 64)));
    if (c->block_reason.len > TEAM_REASON_MAX)
        return err_set(err, ERR_INVALID, "blockReason may have %d characters", TEAM_REASON_MAX);
    for (size_t i = 0; i < TEAM_LIMIT_COUNT; i++) {
        if (c->has_limit[i] && c->limits[i] < 0)
            return err_set(err, ERR_INVALID, "limit %s must not be negative",
                           quota_name((enum team_limit)i));
        if (c->has_limit[i] && i == TEAM_EGRESS_AUDIT && c->limits[i] > 100)
            return err_set(err, ERR_INVALID, "limit %s must be at most 100",
                           quota_name((enum team_limit)i));
        if (c->has_limit[i])
            r->limits[i] = c->limits[i];
    }
    if (c->has_tier)
        r->tier = c->tier;
    if (c->has_banned)
        r->is_banned = c->is_banned;
    if (c->has_blocked) {
        r->is_blocked = c->is_blocked;
        r->block_reason = c->is_blocked ? c->block_reason : (struct str){0};
    }
    return 0;
}

/* What others hold of the team stays: only its record is exchanged. */
static void become(struct domain *d, struct team *t, struct str record)
{
    struct arena mem;
    struct team_record r;

    arena_init(&mem, TEAM_MEM_MAX);
    if (decode(record, &mem, &r, NULL) != 0) {
        arena_done(&mem); /* cannot be: it was decoded before it was stored */
        return;
    }
    map_remove(&d->teams, t->r.id);
    arena_done(&t->mem);
    t->mem = mem;
    t->r = r;
    map_put(&d->teams, t->r.id, t);
}

static void on_stored(void *ctx, const struct err *err)
{
    struct team_op *op = ctx;
    struct domain *d = op->domain;
    struct team *t = op->team;

    t->is_changing = false;
    if (err != NULL) {
        if (op->is_new)
            team_free(t);
        t = NULL;
    } else if (op->is_new) {
        publish(d, t);
        event_emit(d, (struct event){.kind = EVENT_TEAM_CREATED,
                                     .subject = t->r.name,
                                     .team_id = t->r.id,
                                     .actor = str_of(op->actor)});
        key_import_again(d); /* there may be keys for it that nobody could have used */
    } else {
        become(d, t, buf_str(&op->record));
        egress_tell_team(d, t);
        event_emit(d, (struct event){.kind = EVENT_TEAM_CHANGED,
                                     .actor = str_of(op->actor),
                                     .subject = t->r.name,
                                     .team_id = t->r.id,
                                     .detail = t->r.is_banned    ? "banned"
                                               : t->r.is_blocked ? "blocked"
                                                                 : NULL});
    }
    op->fn(op->ctx, t, err);
    op_free(op);
}

static void wait_for_commit(struct team_op *op, struct team *t, team_done_fn *fn, void *ctx)
{
    ignore(str_to_c(domain_actor(op->domain), op->actor, sizeof(op->actor))); /* it fits */
    op->team = t;
    op->fn = fn;
    op->ctx = ctx;
    t->is_changing = true;
    list_push(&op->domain->team_ops, &op->node);
    store_commit(op->domain->store, on_stored, op);
}

int team_create(struct domain *d, struct str name, const struct team_change *change,
                team_done_fn *fn, void *ctx, struct err *err)
{
    char id[UUID_LEN + 1];
    struct team_record r = {.name = name, .created_at_ms = clock_wall_ms()};
    struct team_op *op;
    struct team *t = NULL;

    if (!team_name_is_good(name))
        return err_set(err, ERR_INVALID,
                       "a team's name has 1 to %d of a-z, 0-9 and '-', which is not at its ends",
                       TEAM_NAME_MAX);
    if (is_taken(d, name))
        return err_set(err, ERR_EXISTS, "team '%.*s' exists already", STR_ARG(name));
    if (d->teams.count >= TEAMS_MAX)
        return err_set(err, ERR_LIMIT, "there are %d teams already", TEAMS_MAX);
    if (apply(&r, change, err) != 0)
        return -1;
    id_uuid(id);
    r.id = str_of(id);
    op = mem_zero(sizeof(*op));
    op->domain = d;
    op->is_new = true;
    if (save(d, &r, &op->record, err) != 0 || (t = team_new(buf_str(&op->record), err)) == NULL) {
        op_free(op);
        return -1;
    }
    wait_for_commit(op, t, fn, ctx);
    return 0;
}

int team_alter(struct domain *d, struct team *t, const struct team_change *change, team_done_fn *fn,
               void *ctx, struct err *err)
{
    struct team_record r = t->r;
    struct team_op *op;

    if (t->is_changing)
        return err_set(err, ERR_CONFLICT, "team '%.*s' is being changed", STR_ARG(t->r.name));
    if (apply(&r, change, err) != 0)
        return -1;
    op = mem_zero(sizeof(*op));
    op->domain = d;
    if (save(d, &r, &op->record, err) != 0) {
        op_free(op);
        return -1;
    }
    wait_for_commit(op, t, fn, ctx);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct team *x = *(const struct team *const *)a, *y = *(const struct team *const *)b;
    size_t len = x->r.name.len < y->r.name.len ? x->r.name.len : y->r.name.len;
    int order = len > 0 ? memcmp(x->r.name.at, y->r.name.at, len) : 0;

    if (order != 0 || x->r.name.len == y->r.name.len)
        return order;
    return x->r.name.len < y->r.name.len ? -1 : 1;
}

const struct team **team_list(const struct domain *d, struct arena *a, size_t *out_count)
{
    const struct team **list = arena_array(a, d->teams.count + 1, sizeof(*list));
    size_t cursor = 0, count = 0;
    struct team *t;

    if (list == NULL)
        return NULL;
    while ((t = map_next(&d->teams, &cursor)) != NULL)
        list[count++] = t;
    qsort(list, count, sizeof(*list), by_name);
    *out_count = count;
    return list;
}

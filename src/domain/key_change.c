/* SPDX-License-Identifier: Apache-2.0 */
/* Making, rotating, revoking and renaming keys; see key.h. Called by api/keys.c.
 *
 * An operation remembers hashes, not pointers: a key may be dropped (an ended one, to make room)
 * while it waits for its commit. */
#include "base/clock.h"
#include "base/id.h"
#include "domain/key_internal.h"
#include "domain/quota.h"

/* One operation waiting for its commit. */
struct key_op {
    struct list_node node; /* in domain->key_ops */
    struct domain *domain;
    struct key *made; /* create, rotate: owned until it is stored */
    char raw[API_KEY_LEN + 1];
    char hash[KEY_HASH_LEN + 1]; /* revoke, rotate, alter: of the key that is changed */
    int64_t expires_before_ms;   /* rotate with grace: to go back to */
    bool has_revoked;
    struct buf name, description; /* alter: to go back to */
    key_created_fn *on_created;
    key_done_fn *on_done;
    void *ctx;
    char actor[ACTOR_MAX + 1];
};

static struct key_op *change_new(struct domain *d, const struct key *k, void *ctx)
{
    struct key_op *op = mem_zero(sizeof(*op));

    op->domain = d;
    op->ctx = ctx;
    ignore(str_to_c(domain_actor(d), op->actor, sizeof(op->actor))); /* an actor fits */
    if (k != NULL)
        ignore(str_to_c(k->r.hash, op->hash, sizeof(op->hash))); /* its length was checked */
    buf_init(&op->name, KEY_MEM_MAX);
    buf_init(&op->description, KEY_MEM_MAX);
    return op;
}

static void change_free(struct key_op *op)
{
    list_remove(&op->node);
    buf_done(&op->name);
    buf_done(&op->description);
    key_free(op->made);
    explicit_bzero(op->raw, sizeof(op->raw));
    free(op);
}

static void wait_for_commit(struct key_op *op, store_commit_fn *fn)
{
    list_push(&op->domain->key_ops, &op->node);
    store_commit(op->domain->store, fn, op);
}

void key_change_done(struct domain *d)
{
    struct list_node *at;

    while ((at = list_first(&d->key_ops)) != NULL)
        change_free(container_of(at, struct key_op, node));
}

static void emit(const struct key_op *op, enum event_kind kind, const struct key *k)
{
    event_emit(op->domain, (struct event){.kind = kind,
                                          .subject = k->r.id,
                                          .actor = str_of(op->actor),
                                          .team_id = k->r.team_id});
}

static void settle(struct key_op *op, struct key *old, const struct err *err)
{
    if (old == NULL)
        return;
    if (err != NULL) {
        /* It is still as it was in the store: be the same here, and say so. */
        if (op->has_revoked)
            old->r.revoked_at_ms = 0;
        else
            old->r.expires_at_ms = op->expires_before_ms;
    } else if (op->has_revoked) {
        emit(op, EVENT_KEY_REVOKED, old);
    }
}

static void on_created(void *ctx, const struct err *err)
{
    struct key_op *op = ctx;
    struct key *k = op->made;

    k->team->keys_pending--;
    if (op->hash[0] != '\0')
        settle(op, key_by_hash(op->domain, str_of(op->hash)), err);
    if (err == NULL) {
        op->made = NULL;
        key_publish(op->domain, k);
        emit(op, op->hash[0] != '\0' ? EVENT_KEY_ROTATED : EVENT_KEY_CREATED, k);
    }
    op->on_created(op->ctx, err == NULL ? k : NULL, str_of(op->raw), err);
    change_free(op);
}

/* Ended keys would pile up for ever: the oldest makes room. */
static int make_room(struct domain *d, const struct team *t, struct err *err)
{
    struct key *oldest = NULL;
    size_t ended = 0;

    for (struct list_node *at = list_first(&t->keys); at != NULL; at = list_next(&t->keys, at)) {
        struct key *k = container_of(at, struct key, of_team);

        if (key_status(k) == KEY_VALID || k->source != KEY_FROM_STORE)
            continue;
        ended++;
        if (oldest == NULL || k->r.created_at_ms < oldest->r.created_at_ms)
            oldest = k;
    }
    if (ended < KEYS_ENDED_KEPT)
        return 0;
    if (store_remove(d->store, STORE_KEY, oldest->r.hash, err) != 0)
        return -1;
    key_drop(d, oldest);
    return 0;
}

static int check_text(struct str name, struct str description, struct err *err)
{
    if (name.len == 0 || name.len > KEY_NAME_MAX)
        return err_set(err, ERR_INVALID, "name must have 1 to %d characters", KEY_NAME_MAX);
    if (description.len > KEY_DESCRIPTION_MAX)
        return err_set(err, ERR_INVALID, "description may have %d characters", KEY_DESCRIPTION_MAX);
    return 0;
}

static int check(const struct domain *d, const struct key_params *p, bool is_more, struct err *err)
{
    uint64_t max = quota_limit(d, p->team, TEAM_KEYS);

    if (check_text(p->name, p->description, err) != 0)
        return -1;
    if ((p->scopes & ~(uint32_t)KEY_SCOPES_ALL) != 0)
        return err_set(err, ERR_INVALID, "there is no such scope");
    if (p->expires_at_ms != 0 && p->expires_at_ms <= clock_wall_ms())
        return err_set(err, ERR_INVALID, "the key would have expired already");
    if (d->key_ids.count >= KEYS_MAX)
        return err_set(err, ERR_LIMIT, "too many API keys");
    if (is_more && max > 0 && quota_used(p->team, TEAM_KEYS) >= max)
        return err_set(err, ERR_LIMIT, "you have reached the maximum number of API keys (%llu)",
                       (unsigned long long)max);
    return 0;
}

static void key_record_fill(struct key_record *r, const struct key_params *p, const char *id,
                            const struct key_op *op, const char *hash)
{
    *r = (struct key_record){
        .id = str_of(id),
        .hash = str_of(hash),
        .team_id = p->team->r.id,
        .name = p->name,
        .description = p->description,
        .scopes = p->scopes != 0 ? p->scopes : KEY_SCOPES,
        .expires_at_ms = p->expires_at_ms,
        .prefix = str_of(key_prefix),
        .value_len = API_KEY_LEN - KEY_PREFIX_LEN,
        .head = {op->raw + KEY_PREFIX_LEN,             KEY_HEAD_LEN},
        .tail = {op->raw + API_KEY_LEN - KEY_TAIL_LEN, KEY_TAIL_LEN},
        .created_at_ms = clock_wall_ms(),
    };
}

/* Queue a new key; op->made is it. */
static int make(struct key_op *op, const struct key_params *p, struct err *err)
{
    struct domain *d = op->domain;
    char id[UUID_LEN + 1], hash[KEY_HASH_LEN + 1];
    struct key_record r;

    id_uuid(id);
    id_api_key(op->raw);
    key_hash(str_of(op->raw), hash);
    key_record_fill(&r, p, id, op, hash);
    op->made = key_new(d, &r, err);
    if (op->made == NULL || make_room(d, p->team, err) != 0)
        return -1;
    return key_save(d, &r, err);
}

int key_create(struct domain *d, const struct key_params *p, key_created_fn *fn, void *ctx,
               struct err *err)
{
    struct key_op *op;

    if (check(d, p, true, err) != 0)
        return -1;
    op = change_new(d, NULL, ctx);
    op->on_created = fn;
    if (make(op, p, err) != 0) {
        change_free(op);
        return -1;
    }
    p->team->keys_pending++;
    wait_for_commit(op, on_created);
    return 0;
}

/* A valid one that may be changed here. */
static struct key *require(const struct domain *d, const struct team *team, struct str id,
                           struct err *err)
{
    struct key *k = map_get(&d->key_ids, id);

    if (k == NULL || (team != NULL && k->team != team) || k->r.revoked_at_ms != 0) {
        err_set(err, ERR_NOT_FOUND, "API key '%.*s' not found", STR_ARG(str_upto(id, 64)));
        return NULL;
    }
    if (k->source != KEY_FROM_STORE) {
        err_set(err, ERR_CONFLICT, "API key '%.*s' comes from the %s: change it there",
                STR_ARG(k->r.id), key_source_name(k->source));
        return NULL;
    }
    return k;
}

static void on_revoked(void *ctx, const struct err *err)
{
    struct key_op *op = ctx;

    settle(op, key_by_hash(op->domain, str_of(op->hash)), err);
    op->on_done(op->ctx, err);
    change_free(op);
}

int key_revoke(struct domain *d, const struct team *team, struct str id, key_done_fn *fn, void *ctx,
               struct err *err)
{
    struct key *k = require(d, team, id, err);
    struct key_op *op;

    if (k == NULL)
        return -1;
    k->r.revoked_at_ms = clock_wall_ms();
    if (key_save(d, &k->r, err) != 0) {
        k->r.revoked_at_ms = 0;
        return -1;
    }
    op = change_new(d, k, ctx);
    op->has_revoked = true;
    op->on_done = fn;
    wait_for_commit(op, on_revoked);
    return 0;
}

static int retire(struct key_op *op, struct key *old, int64_t grace_s, struct err *err)
{
    int64_t now_ms = clock_wall_ms(), end_ms = now_ms + grace_s * 1000;
    struct key_record r = old->r;

    op->has_revoked = grace_s == 0;
    op->expires_before_ms = r.expires_at_ms;
    if (grace_s == 0)
        r.revoked_at_ms = now_ms;
    else if (r.expires_at_ms == 0 || r.expires_at_ms > end_ms)
        r.expires_at_ms = end_ms;
    if (key_save(op->domain, &r, err) != 0)
        return -1;
    old->r.revoked_at_ms = r.revoked_at_ms;
    old->r.expires_at_ms = r.expires_at_ms;
    return 0;
}

int key_rotate(struct domain *d, const struct team *team, struct str id, int64_t grace_s,
               key_created_fn *fn, void *ctx, struct err *err)
{
    struct key *old = require(d, team, id, err);
    struct key_params p;
    struct key_op *op;

    if (old == NULL)
        return -1;
    if (key_status(old) != KEY_VALID)
        return err_set(err, ERR_CONFLICT, "API key '%.*s' is %s", STR_ARG(old->r.id),
                       key_status_name(key_status(old)));
    if (grace_s < 0 || grace_s > KEY_LIFE_MAX_S)
        return err_set(err, ERR_INVALID, "graceSeconds must be between 0 and %lld",
                       (long long)KEY_LIFE_MAX_S);
    p = (struct key_params){.team = old->team,
                            .name = old->r.name,
                            .description = old->r.description,
                            .scopes = key_scopes(old),
                            .expires_at_ms = old->r.expires_at_ms};
    /* With a grace period there are two keys for a while. */
    if (check(d, &p, grace_s > 0, err) != 0)
        return -1;
    op = change_new(d, old, ctx);
    op->on_created = fn;
    if (make(op, &p, err) != 0 || retire(op, old, grace_s, err) != 0) {
        change_free(op);
        return -1;
    }
    p.team->keys_pending++;
    wait_for_commit(op, on_created);
    return 0;
}

static void on_altered(void *ctx, const struct err *err)
{
    struct key_op *op = ctx;
    struct key *k = key_by_hash(op->domain, str_of(op->hash));

    if (k != NULL) {
        k->is_changing = false;
        if (err != NULL)
            key_rename(op->domain, k, buf_str(&op->name), buf_str(&op->description));
        else
            emit(op, EVENT_KEY_CHANGED, k);
    }
    op->on_done(op->ctx, err);
    change_free(op);
}

int key_alter(struct domain *d, const struct key_change *change, key_done_fn *fn, void *ctx,
              struct err *err)
{
    struct key *k = require(d, change->team, change->id, err);
    struct key_record r;
    struct key_op *op;

    if (k == NULL)
        return -1;
    if (k->is_changing)
        return err_set(err, ERR_CONFLICT, "API key '%.*s' is being changed", STR_ARG(k->r.id));
    r = k->r;
    if (change->has_name)
        r.name = change->name;
    if (change->has_description)
        r.description = change->description;
    if (check_text(r.name, r.description, err) != 0 || key_save(d, &r, err) != 0)
        return -1;
    op = change_new(d, k, ctx);
    op->on_done = fn;
    buf_add_str(&op->name, k->r.name);
    buf_add_str(&op->description, k->r.description);
    key_rename(d, k, r.name, r.description);
    k->is_changing = true;
    wait_for_commit(op, on_altered);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Keys: checking, making, revoking. Used by api/gate.c and api/keys.c. */
#include "domain/key.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "domain/domain_internal.h"

enum {
    HASH_HEX = 2 * SHA256_SIZE,
    PREFIX_LEN = 4,
    HEAD_LEN = 2, /* characters of the value that may be shown */
    TAIL_LEN = 4,
};

static const char prefix[] = "e2b_";

/* One creation or revocation waiting for its commit. */
struct key_op {
    struct list_node node; /* in domain->key_ops */
    struct domain *domain;
    struct key *key; /* create: owned until it is stored */
    char raw[API_KEY_LEN + 1];
    key_created_fn *on_created;
    key_revoked_fn *on_revoked;
    void *ctx;
};

static void hash_of(struct str text, char out[HASH_HEX + 1])
{
    uint8_t digest[SHA256_SIZE];

    sha256_of(text, digest);
    hex_encode(digest, sizeof(digest), out);
}

static void key_free(struct key *k)
{
    if (k == NULL)
        return;
    arena_done(&k->mem);
    free(k);
}

static void op_free(struct key_op *op)
{
    list_remove(&op->node);
    explicit_bzero(op->raw, sizeof(op->raw));
    free(op);
}

struct key *key_check(const struct domain *d, struct str text, enum key_fault *out_fault)
{
    char hash[HASH_HEX + 1];
    struct key *k;

    hash_of(text, hash);
    k = map_get(&d->keys, (struct str){hash, HASH_HEX});
    if (k != NULL && (k->r.expires_at_ms == 0 || k->r.expires_at_ms > clock_wall_ms()))
        return k;
    *out_fault = KEY_UNKNOWN;
    if (!str_has_prefix(text, prefix)) {
        *out_fault = KEY_MALFORMED;
        return NULL;
    }
    for (size_t i = PREFIX_LEN; i < text.len; i++)
        if (strchr("0123456789abcdef", text.at[i]) == NULL || text.at[i] == '\0')
            *out_fault = KEY_NOT_HEX;
    if (text.len == PREFIX_LEN)
        *out_fault = KEY_NOT_HEX;
    return NULL;
}

static struct key *decode(struct domain *d, struct str record, struct err *err)
{
    struct key *k = mem_zero(sizeof(*k));

    arena_init(&k->mem, KEY_MEM_MAX);
    if (proto_decode(&key_record_message, record, &k->mem, &k->r, err) == 0) {
        k->team = map_get(&d->teams, k->r.team_id);
        if (k->team != NULL && k->r.hash.len == HASH_HEX && k->r.id.len > 0)
            return k;
        err_set(err, ERR_INVALID, "not a key record, or of an unknown team");
    }
    key_free(k);
    return NULL;
}

static void publish(struct domain *d, struct key *k)
{
    map_put(&d->key_ids, k->r.id, k);
    if (k->r.revoked_at_ms == 0)
        map_put(&d->keys, k->r.hash, k);
}

static int save(struct domain *d, const struct key_record *r, struct buf *bytes, struct err *err)
{
    proto_encode(&key_record_message, r, bytes);
    if (!buf_ok(bytes))
        return err_set(err, ERR_LIMIT, "key record too large");
    return store_put(d->store, STORE_KEY, r->hash, buf_str(bytes), err);
}

static void on_created(void *ctx, const struct err *err)
{
    struct key_op *op = ctx;
    struct key *k = op->key;

    if (err == NULL) {
        publish(op->domain, k);
        event_emit(
            op->domain,
            (struct event){.kind = EVENT_KEY_CREATED, .subject = k->r.id, .team_id = k->r.team_id});
    }
    op->on_created(op->ctx, err == NULL ? k : NULL, str_of(op->raw), err);
    if (err != NULL)
        key_free(k);
    op_free(op);
}

int key_create(struct domain *d, struct team *team, struct str name, key_created_fn *fn, void *ctx,
               struct err *err)
{
    struct key_op *op;
    char id[UUID_LEN + 1], hash[HASH_HEX + 1];
    struct key_record r = {.team_id = team->r.id,
                           .name = name,
                           .prefix = str_of(prefix),
                           .value_len = API_KEY_LEN - PREFIX_LEN,
                           .created_at_ms = clock_wall_ms()};
    struct buf bytes;

    if (name.len == 0 || name.len > KEY_NAME_MAX)
        return err_set(err, ERR_INVALID, "name must have 1 to %d characters", KEY_NAME_MAX);
    if (d->key_ids.count >= KEYS_MAX)
        return err_set(err, ERR_LIMIT, "too many API keys");
    op = mem_zero(sizeof(*op));
    id_uuid(id);
    id_api_key(op->raw);
    hash_of(str_of(op->raw), hash);
    r.id = str_of(id);
    r.hash = str_of(hash);
    r.head = (struct str){op->raw + PREFIX_LEN, HEAD_LEN};
    r.tail = (struct str){op->raw + API_KEY_LEN - TAIL_LEN, TAIL_LEN};
    buf_init(&bytes, STORE_VALUE_MAX);
    if (save(d, &r, &bytes, err) != 0 || (op->key = decode(d, buf_str(&bytes), err)) == NULL) {
        buf_done(&bytes);
        op_free(op);
        return -1;
    }
    buf_done(&bytes);
    op->domain = d;
    op->on_created = fn;
    op->ctx = ctx;
    list_push(&d->key_ops, &op->node);
    store_commit(d->store, on_created, op);
    return 0;
}

static void on_revoked(void *ctx, const struct err *err)
{
    struct key_op *op = ctx;
    struct key *k = op->key;

    if (err != NULL) {
        /* It is still valid in the store: be the same here, and say so. */
        k->r.revoked_at_ms = 0;
        map_put(&op->domain->keys, k->r.hash, k);
    } else {
        event_emit(
            op->domain,
            (struct event){.kind = EVENT_KEY_REVOKED, .subject = k->r.id, .team_id = k->r.team_id});
    }
    op->on_revoked(op->ctx, err);
    op_free(op);
}

int key_revoke(struct domain *d, const struct team *team, struct str id, key_revoked_fn *fn,
               void *ctx, struct err *err)
{
    struct key *k = map_get(&d->key_ids, id);
    struct key_op *op;
    struct buf bytes;

    if (k == NULL || k->team != team || k->r.revoked_at_ms != 0)
        return err_set(err, ERR_NOT_FOUND, "API key '%.*s' not found", STR_ARG(str_upto(id, 64)));
    k->r.revoked_at_ms = clock_wall_ms();
    buf_init(&bytes, STORE_VALUE_MAX);
    if (save(d, &k->r, &bytes, err) != 0) {
        k->r.revoked_at_ms = 0;
        buf_done(&bytes);
        return -1;
    }
    buf_done(&bytes);
    map_remove(&d->keys, k->r.hash);
    op = mem_zero(sizeof(*op));
    op->domain = d;
    op->key = k;
    op->on_revoked = fn;
    op->ctx = ctx;
    list_push(&d->key_ops, &op->node);
    store_commit(d->store, on_revoked, op);
    return 0;
}

static int by_age(const void *a, const void *b)
{
    const struct key *x = *(const struct key *const *)a, *y = *(const struct key *const *)b;

    if (x->r.created_at_ms != y->r.created_at_ms)
        return x->r.created_at_ms < y->r.created_at_ms ? -1 : 1;
    return memcmp(x->r.hash.at, y->r.hash.at, HASH_HEX);
}

const struct key **key_list(const struct domain *d, const struct team *team, struct arena *a,
                            size_t *out_count)
{
    const struct key **list = arena_array(a, d->keys.count + 1, sizeof(*list));
    size_t cursor = 0, count = 0;
    struct key *k;

    if (list == NULL)
        return NULL;
    while ((k = map_next(&d->keys, &cursor)) != NULL)
        if (k->team == team)
            list[count++] = k;
    qsort(list, count, sizeof(*list), by_age);
    *out_count = count;
    return list;
}

struct load {
    struct domain *domain;
    struct err *err;
    bool is_bad;
};

static bool on_row(void *ctx, struct str key, struct str value)
{
    struct load *load = ctx;
    struct key *k = decode(load->domain, value, load->err);

    /* However many there are: the limit is for making more, not for starting. */
    if (k == NULL) {
        err_wrap(load->err, "key '%.*s'", STR_ARG(str_upto(key, 12)));
        load->is_bad = true;
        return false;
    }
    publish(load->domain, k);
    return true;
}

int key_load(struct domain *d, struct err *err)
{
    struct load load = {d, err, false};

    return store_each(d->store, STORE_KEY, on_row, &load, err) != 0 || load.is_bad ? -1 : 0;
}

void key_done(struct domain *d)
{
    struct list_node *at;
    struct key *k;
    size_t cursor = 0;

    while ((at = list_first(&d->key_ops)) != NULL) {
        struct key_op *op = container_of(at, struct key_op, node);

        if (op->on_created != NULL)
            key_free(op->key);
        op_free(op);
    }
    while ((k = map_next(&d->key_ids, &cursor)) != NULL)
        key_free(k);
    map_done(&d->key_ids);
    map_done(&d->keys);
}

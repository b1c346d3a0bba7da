/* SPDX-License-Identifier: Apache-2.0 */
/* Keys in memory: checking, listing, use, reading at start. Changes are in key_change.c. Used by
 * api/gate.c and api/keys.c. */
#include "domain/key.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "domain/key_internal.h"

enum {
    USES_AT_ONCE = 1000, /* written by one commit; the rest by the next */
};

const char key_prefix[] = "e2b_";

static const char *const status_names[KEY_STATUS_COUNT] = {
    [KEY_VALID] = "valid",
    [KEY_REVOKED] = "revoked",
    [KEY_EXPIRED] = "expired",
    [KEY_ORPHANED] = "orphaned",
};

static const char *const source_names[] = {
    [KEY_FROM_STORE] = "store",
    [KEY_FROM_FILE] = "file",
    [KEY_FROM_ENVIRONMENT] = "environment",
};

static const struct {
    uint32_t scope;
    const char *name;
} scopes[] = {
    {KEY_READ,  "read" },
    {KEY_WRITE, "write"},
    {KEY_ADMIN, "admin"},
};

void key_hash(struct str text, char out[KEY_HASH_LEN + 1])
{
    uint8_t digest[SHA256_SIZE];

    sha256_of(text, digest);
    hex_encode(digest, sizeof(digest), out);
}

void key_free(struct key *k)
{
    if (k == NULL)
        return;
    arena_done(&k->mem);
    free(k);
}

enum key_status key_status(const struct key *k)
{
    if (k->r.revoked_at_ms != 0)
        return KEY_REVOKED;
    if (k->r.expires_at_ms != 0 && k->r.expires_at_ms <= clock_wall_ms())
        return KEY_EXPIRED;
    return k->team != NULL ? KEY_VALID : KEY_ORPHANED;
}

const char *key_status_name(enum key_status status)
{
    return status_names[status];
}

const char *key_source_name(enum key_source source)
{
    return source_names[source];
}

uint32_t key_scopes(const struct key *k)
{
    return k->r.scopes != 0 ? k->r.scopes : KEY_SCOPES_ALL;
}

uint32_t key_scope_of(struct str name)
{
    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        if (str_is(name, scopes[i].name))
            return scopes[i].scope;
    return 0;
}

const char *key_scope_name(uint32_t scope)
{
    for (size_t i = 0; i < COUNT_OF(scopes); i++)
        if (scopes[i].scope == scope)
            return scopes[i].name;
    return "";
}

struct key *key_by_hash(const struct domain *d, struct str hash)
{
    return map_get(&d->keys, hash);
}

struct key *key_check(const struct domain *d, struct str text, enum key_fault *out_fault)
{
    char hash[KEY_HASH_LEN + 1];
    struct key *k;

    key_hash(text, hash);
    k = key_by_hash(d, (struct str){hash, KEY_HASH_LEN});
    if (k != NULL && key_status(k) == KEY_VALID)
        return k;
    *out_fault = KEY_UNKNOWN;
    if (!str_has_prefix(text, key_prefix)) {
        *out_fault = KEY_MALFORMED;
        return NULL;
    }
    for (size_t i = KEY_PREFIX_LEN; i < text.len; i++)
        if (strchr("0123456789abcdef", text.at[i]) == NULL || text.at[i] == '\0')
            *out_fault = KEY_NOT_HEX;
    if (text.len == KEY_PREFIX_LEN)
        *out_fault = KEY_NOT_HEX;
    return NULL;
}

void key_refuse(struct domain *d, struct str text)
{
    char hash[KEY_HASH_LEN + 1];
    int64_t now = clock_wall_ms();
    struct key *k;

    key_hash(text, hash);
    k = key_by_hash(d, (struct str){hash, KEY_HASH_LEN});
    if (k == NULL || key_status(k) == KEY_VALID ||
        (k->refused_at_ms != 0 && now - k->refused_at_ms < KEY_REFUSED_MS))
        return;
    k->refused_at_ms = now;
    event_emit(d, (struct event){.kind = EVENT_KEY_REFUSED,
                                 .subject = k->r.id,
                                 .team_id = k->r.team_id,
                                 .detail = key_status_name(key_status(k))});
}

static struct key *decode(struct domain *d, struct str record, struct err *err)
{
    struct key *k = mem_zero(sizeof(*k));

    arena_init(&k->mem, KEY_MEM_MAX);
    if (proto_decode(&key_record_message, record, &k->mem, &k->r, err) == 0) {
        k->team = map_get(&d->teams, k->r.team_id);
        if (k->r.hash.len == KEY_HASH_LEN && k->r.id.len > 0)
            return k;
        err_set(err, ERR_INVALID, "not a key record");
    }
    key_free(k);
    return NULL;
}

static int encode(const struct key_record *r, struct buf *bytes, struct err *err)
{
    buf_init(bytes, STORE_VALUE_MAX);
    proto_encode(&key_record_message, r, bytes);
    return buf_ok(bytes) ? 0 : err_set(err, ERR_LIMIT, "key record too large");
}

struct key *key_new(struct domain *d, const struct key_record *r, struct err *err)
{
    struct key *k = NULL;
    struct buf bytes;

    if (encode(r, &bytes, err) == 0)
        k = decode(d, buf_str(&bytes), err);
    buf_done(&bytes);
    return k;
}

int key_save(struct domain *d, const struct key_record *r, struct err *err)
{
    struct buf bytes;
    int result = encode(r, &bytes, err);

    if (result == 0)
        result = store_put(d->store, STORE_KEY, r->hash, buf_str(&bytes), err);
    buf_done(&bytes);
    return result;
}

void key_publish(struct domain *d, struct key *k)
{
    map_put(&d->key_ids, k->r.id, k);
    map_put(&d->keys, k->r.hash, k);
    if (k->team != NULL)
        list_push(&k->team->keys, &k->of_team);
}

void key_drop(struct domain *d, struct key *k)
{
    map_remove(&d->key_ids, k->r.id);
    map_remove(&d->keys, k->r.hash);
    list_remove(&k->of_team);
    list_remove(&k->use);
    key_free(k);
}

void key_rename(struct domain *d, struct key *k, struct str name, struct str description)
{
    struct key_record r = k->r;
    struct key *fresh;

    r.name = name;
    r.description = description;
    fresh = key_new(d, &r, NULL);
    if (fresh == NULL)
        return; /* cannot be: a record of this size was encoded before */
    map_remove(&d->key_ids, k->r.id);
    map_remove(&d->keys, k->r.hash);
    arena_done(&k->mem);
    k->mem = fresh->mem;
    k->r = fresh->r;
    free(fresh);
    map_put(&d->key_ids, k->r.id, k);
    map_put(&d->keys, k->r.hash, k);
}

size_t key_count_valid(const struct team *t)
{
    size_t count = 0;

    for (struct list_node *at = list_first(&t->keys); at != NULL; at = list_next(&t->keys, at))
        count += key_status(container_of(at, struct key, of_team)) == KEY_VALID;
    return count;
}

/* Lost when it fails: the time of the last use is a help, not a promise. */
static void on_uses_stored(void *ctx, const struct err *err)
{
    if (err != NULL)
        event_emit(ctx, (struct event){.kind = EVENT_STORE_FAILED, .detail = err->text});
}

void key_uses_flush(struct domain *d)
{
    struct list_node *at;
    size_t count = 0;

    timer_stop(&d->key_use_timer);
    while (count < USES_AT_ONCE && (at = list_first(&d->keys_used)) != NULL) {
        struct key *k = container_of(at, struct key, use);

        /* One that cannot be queued now is tried again with its next use. */
        list_remove(at);
        ignore(key_save(d, &k->r, NULL));
        count++;
    }
    if (count > 0)
        store_commit(d->store, on_uses_stored, d);
}

static void on_use_timer(void *ctx)
{
    struct domain *d = ctx;

    key_uses_flush(d);
    if (list_first(&d->keys_used) != NULL)
        timer_start(d->loop, &d->key_use_timer, 1000, on_use_timer, d);
}

void key_use(struct domain *d, struct key *k)
{
    k->r.last_used_at_ms = clock_wall_ms();
    if (k->source != KEY_FROM_STORE || list_linked(&k->use))
        return;
    list_push(&d->keys_used, &k->use);
    if (!timer_running(&d->key_use_timer))
        timer_start(d->loop, &d->key_use_timer, KEY_USE_MS, on_use_timer, d);
}

static int by_age(const void *a, const void *b)
{
    const struct key *x = *(const struct key *const *)a, *y = *(const struct key *const *)b;

    if (x->r.created_at_ms != y->r.created_at_ms)
        return x->r.created_at_ms < y->r.created_at_ms ? -1 : 1;
    return memcmp(x->r.hash.at, y->r.hash.at, KEY_HASH_LEN);
}

static bool is_asked_for(const struct key *k, const struct key_query *q)
{
    return (q->statuses & 1U << key_status(k)) != 0 &&
           str_eq(str_upto(k->r.hash, q->hash_prefix.len), q->hash_prefix) &&
           (q->id.len == 0 || str_eq(k->r.id, q->id));
}

static size_t list_all(const struct domain *d, const struct key_query *q, const struct key **out)
{
    size_t cursor = 0, count = 0;
    struct key *k;

    while ((k = map_next(&d->keys, &cursor)) != NULL)
        if (is_asked_for(k, q))
            out[count++] = k;
    return count;
}

static size_t length(const struct list *l)
{
    size_t count = 0;

    for (struct list_node *at = list_first(l); at != NULL; at = list_next(l, at))
        count++;
    return count;
}

static size_t list_team(const struct key_query *q, const struct key **out)
{
    const struct list *keys = &q->team->keys;
    size_t count = 0;

    for (struct list_node *at = list_first(keys); at != NULL; at = list_next(keys, at)) {
        const struct key *k = container_of(at, struct key, of_team);

        if (is_asked_for(k, q))
            out[count++] = k;
    }
    return count;
}

const struct key **key_list(const struct domain *d, const struct key_query *q, struct arena *a,
                            size_t *out_count)
{
    size_t room = q->team != NULL ? length(&q->team->keys) : d->keys.count;
    const struct key **list = arena_array(a, room + 1, sizeof(*list));
    size_t count;

    if (list == NULL)
        return NULL;
    count = q->team != NULL ? list_team(q, list) : list_all(d, q, list);
    qsort(list, count, sizeof(*list), by_age);
    *out_count = count;
    return list;
}

/* However many there are: the limit is for making more, not for starting. */
static int add(struct domain *d, struct str record, struct err *err)
{
    struct key *k = decode(d, record, err);

    if (k == NULL)
        return -1;
    key_publish(d, k);
    if (k->team == NULL)
        event_emit(d, (struct event){.kind = EVENT_KEY_ORPHANED,
                                     .subject = k->r.id,
                                     .detail = "its team does not exist"});
    return 0;
}

int key_load(struct domain *d, struct err *err)
{
    return record_each(d, STORE_KEY, "key", add, err);
}

void key_done(struct domain *d)
{
    struct key *k;
    size_t cursor = 0;

    timer_stop(&d->key_use_timer);
    key_change_done(d);
    while ((k = map_next(&d->key_ids, &cursor)) != NULL)
        key_free(k);
    map_done(&d->key_ids);
    map_done(&d->keys);
}

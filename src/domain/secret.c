/* SPDX-License-Identifier: Apache-2.0 */
/* See secret.h. Called by api/secrets.c, sandbox_network.c and domain.c. */
#include "domain/secret.h"

#include <stdio.h>

#include "base/clock.h"
#include "domain/domain_internal.h"

enum {
    SECRET_MEM_MAX = 64 << 10,
};

static const char id_prefix[] = "sec_";

struct secrets {
    struct map by_id, by_key; /* struct secret */
    struct list ops;          /* changes waiting for their commit */
};

/* One change that waits for its commit. */
struct secret_op {
    struct list_node node;
    struct domain *domain;
    enum event_kind kind; /* created, changed or removed */
    char actor[ACTOR_MAX + 1];
    struct secret_record r; /* what it will be; texts in mem */
    struct arena mem;
    secret_done_fn *fn;
    void *ctx;
};

/* clang-format off */
static const struct codec_field secret_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct secret_record, id)},
    {2, "teamId", CODEC_STRING, 0, offsetof(struct secret_record, team_id)},
    {3, "name", CODEC_STRING, 0, offsetof(struct secret_record, name)},
    {4, "value", CODEC_STRING, 0, offsetof(struct secret_record, value)},
    {5, "version", CODEC_INT64, 0, offsetof(struct secret_record, version)},
    {6, "metadata", CODEC_MAP, 0, offsetof(struct secret_record, metadata)},
    {7, "createdAtMs", CODEC_INT64, 0, offsetof(struct secret_record, created_at_ms)},
    {8, "updatedAtMs", CODEC_INT64, 0, offsetof(struct secret_record, updated_at_ms)},
};
/* clang-format on */

static const struct codec_message secret_message = {"secret", sizeof(struct secret_record),
                                                    secret_fields, COUNT_OF(secret_fields)};

static void lower(struct str name, char out[SECRET_NAME_MAX + 1])
{
    size_t len = name.len < SECRET_NAME_MAX ? name.len : SECRET_NAME_MAX;

    for (size_t i = 0; i < len; i++)
        out[i] = (char)(name.at[i] >= 'A' && name.at[i] <= 'Z' ? name.at[i] | 0x20 : name.at[i]);
    out[len] = '\0';
}

static void key_of(struct str team_id, struct str name, struct secret *to)
{
    ignore(snprintf(to->key, sizeof(to->key), "%.*s/%.*s", STR_ARG(str_upto(team_id, UUID_LEN)),
                    STR_ARG(str_upto(name, SECRET_NAME_MAX))));
}

static struct secret *find(const struct domain *d, const struct team *team, struct str which)
{
    struct secret asked;
    struct secret *s = map_get(&d->secrets->by_id, which);
    char name[SECRET_NAME_MAX + 1];

    if (s != NULL)
        return str_eq(s->r.team_id, team->r.id) ? s : NULL;
    if (which.len == 0 || which.len > SECRET_NAME_MAX)
        return NULL;
    lower(which, name);
    key_of(team->r.id, str_of(name), &asked);
    return map_get(&d->secrets->by_key, str_of(asked.key));
}

const struct secret *secret_find(const struct domain *d, const struct team *team, struct str which)
{
    return find(d, team, which);
}

static int missing(struct err *err, struct str which)
{
    return err_set(err, ERR_NOT_FOUND, "Secret '%.*s' not found",
                   STR_ARG(str_upto(which, SECRET_NAME_MAX)));
}

static int by_age(const void *a, const void *b)
{
    const struct secret *x = *(const struct secret *const *)a;
    const struct secret *y = *(const struct secret *const *)b;

    if (x->r.created_at_ms != y->r.created_at_ms)
        return x->r.created_at_ms < y->r.created_at_ms ? -1 : 1;
    return memcmp(x->r.id.at, y->r.id.at, SECRET_ID_LEN);
}

const struct secret **secret_list(const struct domain *d, const struct team *team, struct str after,
                                  struct arena *a, size_t *out_count)
{
    const struct secret **list = arena_array(a, SECRETS_PER_TEAM_MAX + 1, sizeof(*list));
    size_t cursor = 0, count = 0, first = 0;
    const struct secret *s;

    if (list == NULL)
        return NULL;
    while ((s = map_next(&d->secrets->by_id, &cursor)) != NULL && count < SECRETS_PER_TEAM_MAX)
        if (str_eq(s->r.team_id, team->r.id))
            list[count++] = s;
    qsort(list, count, sizeof(*list), by_age);
    while (after.len > 0 && first < count && !str_eq(list[first]->r.id, after))
        first++;
    if (after.len > 0)
        first += first < count;
    *out_count = count - first;
    return list + first;
}

/* Checking */

static int check_name(struct str name, struct err *err)
{
    char canonical[SECRET_NAME_MAX + 1];
    bool is_good = name.len > 0 && name.len <= SECRET_NAME_MAX;

    for (size_t i = 0; is_good && i < name.len; i++) {
        char c = name.at[i];

        is_good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '-';
    }
    if (!is_good)
        return err_set(err, ERR_INVALID,
                       "secret name must have 1 to %d characters of letters, digits, '-' and '_'",
                       SECRET_NAME_MAX);
    lower(name, canonical);
    if (str_has_prefix(str_of(canonical), id_prefix))
        return err_set(err, ERR_INVALID, "secret names cannot begin with '%s', which is reserved",
                       id_prefix);
    return 0;
}

/* It will be the value of a header field. */
static int check_value(struct str value, struct err *err)
{
    bool is_good = value.len > 0 && value.len <= SECRET_VALUE_MAX;

    for (size_t i = 0; is_good && i < value.len; i++)
        is_good = ((unsigned char)value.at[i] >= ' ' || value.at[i] == '\t') && value.at[i] != 0x7f;
    if (is_good)
        return 0;
    return err_set(err, ERR_INVALID,
                   "secret value must have 1 to %d bytes and no control characters",
                   SECRET_VALUE_MAX);
}

static int check_metadata(const struct codec_list *metadata, struct err *err)
{
    const struct codec_pair *pairs = metadata->items;
    size_t bytes = 0;

    if (metadata->count > SECRET_METADATA_MAX)
        return err_set(err, ERR_INVALID, "metadata can have at most %d entries",
                       SECRET_METADATA_MAX);
    for (size_t i = 0; i < metadata->count; i++) {
        if (pairs[i].key.len > SECRET_METADATA_KEY_MAX)
            return err_set(err, ERR_INVALID, "metadata keys can have at most %d bytes",
                           SECRET_METADATA_KEY_MAX);
        if (pairs[i].value.len > SECRET_METADATA_VALUE_MAX)
            return err_set(err, ERR_INVALID, "metadata values can have at most %d bytes",
                           SECRET_METADATA_VALUE_MAX);
        bytes += pairs[i].key.len + pairs[i].value.len;
    }
    if (bytes > SECRET_METADATA_BYTES_MAX)
        return err_set(err, ERR_INVALID, "metadata can have at most %d bytes in total",
                       SECRET_METADATA_BYTES_MAX);
    return 0;
}

/* Those that wait for their commit count: a name is taken once. */
static int check_free(const struct domain *d, const struct team *team, struct str name,
                      struct err *err)
{
    const struct list *ops = &d->secrets->ops;
    bool is_taken = find(d, team, name) != NULL;
    size_t cursor = 0, count = 0;
    const struct secret *s;

    while ((s = map_next(&d->secrets->by_id, &cursor)) != NULL)
        count += str_eq(s->r.team_id, team->r.id);
    for (struct list_node *n = list_first(ops); n != NULL; n = list_next(ops, n)) {
        const struct secret_op *op = container_of(n, struct secret_op, node);

        if (op->kind != EVENT_SECRET_CREATED || !str_eq(op->r.team_id, team->r.id))
            continue;
        is_taken |= str_eq(op->r.name, name);
        count++;
    }
    if (is_taken)
        return err_set(err, ERR_EXISTS, "Secret '%.*s' already exists", STR_ARG(name));
    if (count >= SECRETS_PER_TEAM_MAX)
        return err_set(err, ERR_LIMIT, "a team may have %d secrets", SECRETS_PER_TEAM_MAX);
    if (d->secrets->by_id.count >= SECRETS_MAX)
        return err_set(err, ERR_LIMIT, "too many secrets");
    return 0;
}

/* Changing */

static void record_forget(struct secret_record *r)
{
    /* the arena's copy, which nobody else looks at */
    if (r->value.len > 0)
        explicit_bzero((char *)(uintptr_t)r->value.at, r->value.len);
}

static void op_done(struct secret_op *op)
{
    list_remove(&op->node);
    if (op->mem.used > 0)
        record_forget(&op->r);
    arena_done(&op->mem);
    free(op);
}

static void drop(struct secrets *all, struct secret *s)
{
    ignore(map_remove(&all->by_id, s->r.id) != NULL); /* it is s, here and there */
    ignore(map_remove(&all->by_key, str_of(s->key)) != NULL);
    record_forget(&s->r);
    arena_done(&s->mem);
    free(s);
}

/* The record and its memory change hands; one that was there before goes. */
static struct secret *publish(struct secrets *all, struct secret_record *r, struct arena *mem)
{
    struct secret *s = mem_zero(sizeof(*s)), *old = map_get(&all->by_id, r->id);

    s->version_last = r->version;
    if (old != NULL && old->version_last > s->version_last)
        s->version_last = old->version_last;
    if (old != NULL)
        drop(all, old);
    s->r = *r;
    s->mem = *mem;
    *mem = (struct arena){0};
    key_of(s->r.team_id, s->r.name, s);
    ignore(map_put(&all->by_id, s->r.id, s) != NULL); /* the old one is gone */
    ignore(map_put(&all->by_key, str_of(s->key), s) != NULL);
    return s;
}

static void on_stored(void *ctx, const struct err *err)
{
    struct secret_op *op = ctx;
    struct domain *d = op->domain;
    struct secret *s = map_get(&d->secrets->by_id, op->r.id);
    bool is_there = s != NULL || op->kind == EVENT_SECRET_CREATED; /* else removed meanwhile */
    char id[SECRET_ID_LEN + 1] = "", team_id[UUID_LEN + 1] = "", name[SECRET_NAME_MAX + 1] = "";

    ignore(str_to_c(op->r.id, id, sizeof(id))); /* all three fit: they were made or checked here */
    ignore(str_to_c(op->r.team_id, team_id, sizeof(team_id)));
    ignore(str_to_c(op->r.name, name, sizeof(name)));
    if (err == NULL && is_there && op->kind == EVENT_SECRET_REMOVED) {
        drop(d->secrets, s);
        s = NULL;
    } else if (err == NULL && is_there) {
        s = publish(d->secrets, &op->r, &op->mem);
    }
    if (err == NULL) {
        event_emit(d, (struct event){.kind = op->kind,
                                     .subject = str_of(id),
                                     .team_id = str_of(team_id),
                                     .detail = name,
                                     .actor = str_of(op->actor)});
        network_secret_changed(d, str_of(team_id), str_of(name));
    }
    op->fn(op->ctx, s, err);
    op_done(op);
}

/* A record that owns its texts is a record that went through its own encoding. */
static int op_start(struct domain *d, const struct secret_record *r, const struct secret_op *model,
                    struct err *err)
{
    struct secret_op *op = mem_zero(sizeof(*op));
    struct buf bytes;
    int result = -1;

    *op = *model;
    op->domain = d;
    ignore(str_to_c(domain_actor(d), op->actor, sizeof(op->actor))); /* an actor fits */
    arena_init(&op->mem, SECRET_MEM_MAX);
    buf_init(&bytes, SECRET_MEM_MAX);
    proto_encode(&secret_message, r, &bytes);
    if (!buf_ok(&bytes))
        err_set(err, ERR_LIMIT, "secret record too large");
    else if (proto_decode(&secret_message, buf_str(&bytes), &op->mem, &op->r, err) == 0)
        result = op->kind == EVENT_SECRET_REMOVED
                     ? store_remove(d->store, STORE_SECRET, r->id, err)
                     : store_put(d->store, STORE_SECRET, r->id, buf_str(&bytes), err);
    if (bytes.at != NULL)
        explicit_bzero(bytes.at, bytes.len);
    buf_done(&bytes);
    if (result != 0) {
        op_done(op);
        return -1;
    }
    list_push(&d->secrets->ops, &op->node);
    store_commit(d->store, on_stored, op);
    return 0;
}

int secret_create(struct domain *d, const struct team *team, const struct secret_params *p,
                  secret_done_fn *fn, void *ctx, struct err *err)
{
    char id[SECRET_ID_LEN + 1], name[SECRET_NAME_MAX + 1];
    struct secret_op op = {.kind = EVENT_SECRET_CREATED, .fn = fn, .ctx = ctx};
    int64_t now_ms = clock_wall_ms();
    struct secret_record r = {
        .team_id = team->r.id,
        .value = p->value,
        .version = 1,
        .metadata = p->metadata,
        .created_at_ms = now_ms,
        .updated_at_ms = now_ms,
    };

    if (check_name(p->name, err) != 0 || check_value(p->value, err) != 0 ||
        check_metadata(&p->metadata, err) != 0)
        return -1;
    lower(p->name, name);
    r.name = str_of(name);
    if (check_free(d, team, r.name, err) != 0)
        return -1;
    memcpy(id, id_prefix, sizeof(id_prefix));
    id_text(id + sizeof(id_prefix) - 1, SECRET_ID_LEN - (sizeof(id_prefix) - 1));
    r.id = str_of(id);
    return op_start(d, &r, &op, err);
}

int secret_change(struct domain *d, const struct team *team, struct str which,
                  const struct secret_params *p, secret_done_fn *fn, void *ctx, struct err *err)
{
    struct secret *s = find(d, team, which);
    struct secret_op op = {.kind = EVENT_SECRET_CHANGED, .fn = fn, .ctx = ctx};
    struct secret_record r;

    if (s == NULL)
        return missing(err, which);
    if (check_value(p->value, err) != 0 || check_metadata(&p->metadata, err) != 0)
        return -1;
    r = s->r;
    r.value = p->value;
    r.version = ++s->version_last;
    r.updated_at_ms = clock_wall_ms();
    if (p->has_metadata)
        r.metadata = p->metadata;
    return op_start(d, &r, &op, err);
}

int secret_remove(struct domain *d, const struct team *team, struct str which, secret_done_fn *fn,
                  void *ctx, struct err *err)
{
    const struct secret *s = find(d, team, which);
    struct secret_op op = {.kind = EVENT_SECRET_REMOVED, .fn = fn, .ctx = ctx};

    if (s == NULL)
        return missing(err, which);
    return op_start(d, &s->r, &op, err);
}

/* Life */

struct secrets *secrets_new(void)
{
    return mem_zero(sizeof(struct secrets));
}

void secrets_free(struct secrets *all)
{
    size_t cursor = 0;
    struct list_node *n;
    struct secret *s;

    if (all == NULL)
        return;
    while ((n = list_first(&all->ops)) != NULL)
        op_done(container_of(n, struct secret_op, node));
    while ((s = map_next(&all->by_id, &cursor)) != NULL)
        drop(all, s);
    map_done(&all->by_id);
    map_done(&all->by_key);
    free(all);
}

static int load_one(struct domain *d, struct str record, struct err *err)
{
    struct secret_record r = {0};
    struct arena mem;

    arena_init(&mem, SECRET_MEM_MAX);
    if (proto_decode(&secret_message, record, &mem, &r, err) == 0 && r.id.len == SECRET_ID_LEN &&
        r.name.len > 0) {
        ignore(publish(d->secrets, &r, &mem) != NULL); /* nobody waits for it */
        return 0;
    }
    if (r.id.len > 0)
        err_set(err, ERR_INVALID, "not a secret record");
    arena_done(&mem);
    return -1;
}

int secret_load(struct domain *d, struct err *err)
{
    return record_each(d, STORE_SECRET, "secret", load_one, err);
}

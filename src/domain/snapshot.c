/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots as objects: records, names, lists, removal. They are made in snapshot_make.c. */
#include "domain/snapshot.h"

#include <assert.h>

#include "domain/build_layer.h"
#include "domain/domain_internal.h"

enum {
    REMOVE_MS = 60 * 1000,
    MEM_MAX = 2 * STORE_VALUE_MAX,
};

static const char default_tag[] = "default";

void snapshot_free(struct domain *d, struct snapshot *s)
{
    map_remove(&d->snapshots, s->r.id);
    arena_done(&s->mem);
    free(s);
}

/* As what a sandbox is started from. */
static void dress(struct snapshot *s)
{
    s->as.r = (struct template_record){
        .id = s->r.template_id,
        .build_id = s->r.build_id,
        .rootfs = s->r.rootfs,
        .layers = s->r.layers,
        .snapshot = s->r.id,
        .cpu_count = s->r.cpu_count,
        .memory_mb = s->r.memory_mb,
        .disk_mb = s->r.disk_mb,
        .user = s->r.user,
        .workdir = s->r.workdir,
        .env = s->r.env,
    };
    if (s->r.name.len > 0)
        s->as.r.aliases = (struct codec_list){&s->r.name, 1};
}

static struct snapshot *decode(struct domain *d, struct str bytes, struct err *err)
{
    struct snapshot *s = mem_zero(sizeof(*s));

    arena_init(&s->mem, MEM_MAX);
    if (proto_decode(&snapshot_record_message, bytes, &s->mem, &s->r, err) != 0 ||
        s->r.id.len == 0 || s->r.id.len > SANDBOX_KEY_MAX || map_get(&d->snapshots, s->r.id)) {
        err_set(err, ERR_INVALID, "not a record of a snapshot");
        arena_done(&s->mem);
        free(s);
        return NULL;
    }
    dress(s);
    map_put(&d->snapshots, s->r.id, s);
    return s;
}

static int encode(const struct snapshot_record *r, struct buf *out, struct err *err)
{
    proto_encode(&snapshot_record_message, r, out);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "record of a snapshot too large");
}

/* A record that owns its texts is one that went through its own encoding. */
struct snapshot *snapshot_new(struct domain *d, const struct snapshot_record *r, struct err *err)
{
    struct snapshot *s = NULL;
    struct buf bytes;

    buf_init(&bytes, STORE_VALUE_MAX);
    if (encode(r, &bytes, err) == 0)
        s = decode(d, buf_str(&bytes), err);
    buf_done(&bytes);
    return s;
}

int snapshot_save(struct domain *d, const struct snapshot *s, struct err *err)
{
    struct buf bytes;
    int result;

    buf_init(&bytes, STORE_VALUE_MAX);
    result = encode(&s->r, &bytes, err);
    if (result == 0)
        result = store_put(d->store, STORE_SNAPSHOT, s->r.id, buf_str(&bytes), err);
    buf_done(&bytes);
    return result;
}

static int add(struct domain *d, struct str record, struct err *err)
{
    struct snapshot *s = decode(d, record, err);

    if (s == NULL)
        return -1;
    s->is_durable = true;
    return 0;
}

int snapshot_load(struct domain *d, struct err *err)
{
    return record_each(d, STORE_SNAPSHOT, "snapshot", add, err);
}

void snapshot_done(struct domain *d)
{
    size_t cursor = 0;
    struct snapshot *s;

    while ((s = map_next(&d->snapshots, &cursor)) != NULL)
        snapshot_free(d, s);
    map_done(&d->snapshots);
    makings_done(d);
}

size_t snapshot_count(const struct domain *d, const struct team *team)
{
    size_t cursor = 0, count = 0;
    const struct snapshot *s;

    while ((s = map_next(&d->snapshots, &cursor)) != NULL)
        count += str_eq(s->r.team_id, team->r.id);
    return count;
}

/* A team's name can stand before a template's when it is made of the same letters. */
static bool is_namespace(struct str name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";

    for (size_t i = 0; i < name.len; i++)
        if (strchr(letters, name.at[i]) == NULL || name.at[i] == '\0')
            return false;
    return name.len > 0;
}

void snapshot_put_id(const struct domain *d, const struct snapshot *s, struct buf *out)
{
    const struct team *team = map_get(&d->teams, s->r.team_id);

    if (s->r.name.len == 0) {
        buf_printf(out, "%.*s:%s", STR_ARG(s->r.template_id), default_tag);
        return;
    }
    if (team != NULL && is_namespace(team->r.name))
        buf_printf(out, "%.*s/", STR_ARG(team->r.name));
    buf_printf(out, "%.*s:%.*s", STR_ARG(s->r.name), STR_ARG(s->r.tag));
}

static bool is_called(const struct snapshot *s, const struct team *team,
                      const struct template_name *n)
{
    if (!s->is_durable || !str_eq(s->r.team_id, team->r.id))
        return false;
    if (n->space.len > 0 && !str_eq(n->space, team->r.name))
        return false;
    return (s->r.name.len > 0 && str_eq(n->name, s->r.name)) || str_eq(n->name, s->r.template_id);
}

const struct snapshot *snapshot_named(const struct domain *d, const struct team *team,
                                      const struct template_name *n)
{
    size_t cursor = 0;
    const struct snapshot *s;

    while ((s = map_next(&d->snapshots, &cursor)) != NULL)
        if (is_called(s, team, n) && str_eq(n->tag, s->r.tag))
            return s;
    return NULL;
}

const struct snapshot *snapshot_find(const struct domain *d, const struct team *team,
                                     struct str reference)
{
    const struct snapshot *s = NULL;
    struct template_name n;
    struct arena mem;

    arena_init(&mem, 4096);
    if (template_name_parse(reference, &mem, &n, NULL) == 0)
        s = snapshot_named(d, team, &n);
    arena_done(&mem);
    return s;
}

const struct snapshot *snapshot_by_id(const struct domain *d, struct str id)
{
    return map_get(&d->snapshots, id);
}

static int newest_first(const void *a, const void *b)
{
    const struct snapshot *one = *(const struct snapshot *const *)a;
    const struct snapshot *other = *(const struct snapshot *const *)b;

    if (one->r.created_at_ms != other->r.created_at_ms)
        return one->r.created_at_ms < other->r.created_at_ms ? 1 : -1;
    return memcmp(one->r.id.at, other->r.id.at,
                  one->r.id.len < other->r.id.len ? one->r.id.len : other->r.id.len);
}

static bool passes(const struct snapshot *s, const struct snapshot_query *q)
{
    struct template_name n = {.name = q->name};
    struct str tag, name = str_cut(q->name, ':', &tag);

    if (!s->is_durable || !str_eq(s->r.team_id, q->team->r.id))
        return false;
    if (q->sandbox_id.len > 0 && !str_eq(s->r.sandbox_id, q->sandbox_id))
        return false;
    if (q->name.len == 0)
        return true;
    n.name = name;
    if (str_find(name, '/') >= 0)
        n.space = str_cut(name, '/', &n.name);
    return is_called(s, q->team, &n) && (tag.len == 0 || str_eq(tag, s->r.tag));
}

const struct snapshot **snapshot_list(const struct domain *d, const struct snapshot_query *q,
                                      struct arena *a, size_t *out_count, bool *out_has_more)
{
    const struct snapshot **all = arena_array(a, d->snapshots.count + 1, sizeof(*all));
    size_t cursor = 0, count = 0, first = 0;
    const struct snapshot *s;

    if (all == NULL)
        return NULL;
    while ((s = map_next(&d->snapshots, &cursor)) != NULL)
        if (passes(s, q))
            all[count++] = s;
    qsort(all, count, sizeof(*all), newest_first);
    while (q->after.len > 0 && first < count && !str_eq(all[first]->r.id, q->after))
        first++;
    if (q->after.len > 0)
        first = first < count ? first + 1 : 0; /* gone meanwhile: begin again, none is missed */
    *out_has_more = count - first > q->limit;
    *out_count = *out_has_more ? q->limit : count - first;
    return all + first;
}

/* Node does it, now or at the next comparison. */
static void on_node_removed(void *ctx, struct str id, const struct node_result *result)
{
    ignore(ctx == NULL);
    ignore((long)id.len);
    ignore(result == NULL);
}

static void tell_node(struct domain *d, struct str id)
{
    ignore(node_client_snapshot_remove(d->node, id, REMOVE_MS, on_node_removed, NULL));
}

void snapshot_drop(struct domain *d, struct str id)
{
    struct snapshot *s = map_get(&d->snapshots, id);

    assert(s == NULL || !s->is_durable);
    tell_node(d, id);
    if (s != NULL)
        snapshot_free(d, s);
}

static bool is_needed(const struct domain *d, const struct snapshot *s)
{
    size_t cursor = 0;
    const struct sandbox *box;

    while ((box = map_next(&d->sandboxes, &cursor)) != NULL)
        if (str_eq(box->r.at_snapshot, s->r.id))
            return true;
    return false;
}

struct removal {
    struct domain *domain;
    struct arena mem;
    struct str *ids;
    size_t count;
    snapshot_removed_fn *fn;
    void *ctx;
};

static void removal_free(struct removal *r)
{
    arena_done(&r->mem);
    free(r);
}

static void on_stored(void *ctx, const struct err *err)
{
    struct removal *r = ctx;
    struct domain *d = r->domain;

    for (size_t i = 0; i < r->count; i++) {
        struct snapshot *s = map_get(&d->snapshots, r->ids[i]);

        if (s == NULL || err != NULL)
            continue;
        d->counters.snapshots_removed++;
        event_emit(d, (struct event){.kind = EVENT_SNAPSHOT_REMOVED,
                                     .subject = s->r.template_id,
                                     .team_id = s->r.team_id});
        tell_node(d, s->r.id);
        snapshot_free(d, s);
    }
    r->fn(r->ctx, err);
    removal_free(r);
}

/* Its builds, into r->ids; a tag that was written chooses one. */
static int collect(struct removal *r, const struct team *team, const struct template_name *n,
                   bool has_tag, struct err *err)
{
    struct domain *d = r->domain;
    size_t cursor = 0;
    const struct snapshot *s;

    r->ids = arena_array(&r->mem, d->snapshots.count + 1, sizeof(*r->ids));
    while (r->ids != NULL && (s = map_next(&d->snapshots, &cursor)) != NULL) {
        if (!is_called(s, team, n) || (has_tag && !str_eq(n->tag, s->r.tag)))
            continue;
        if (is_needed(d, s))
            return err_set(err, ERR_CONFLICT, "a sandbox was rolled back to it and is paused");
        r->ids[r->count] = arena_str(&r->mem, s->r.id);
        if (r->ids[r->count++].at == NULL)
            return err_set(err, ERR_LIMIT, "too many snapshots of one name");
    }
    if (r->count == 0)
        return err_set(err, ERR_NOT_FOUND, "template '%.*s' not found", STR_ARG(n->name));
    return 0;
}

int snapshot_remove(struct domain *d, const struct team *team, struct str reference,
                    snapshot_removed_fn *fn, void *ctx, struct err *err)
{
    struct removal *r = mem_zero(sizeof(*r));
    struct template_name n;
    int result;

    *r = (struct removal){.domain = d, .fn = fn, .ctx = ctx};
    arena_init(&r->mem, MEM_MAX);
    result = template_name_parse(reference, &r->mem, &n, err);
    if (result == 0)
        result = collect(r, team, &n, str_find(reference, ':') >= 0, err);
    for (size_t i = 0; result == 0 && i < r->count; i++)
        result = store_remove(d->store, STORE_SNAPSHOT, r->ids[i], err);
    if (result != 0) {
        removal_free(r);
        return -1;
    }
    store_commit(d->store, on_stored, r);
    return 0;
}

size_t snapshot_compare(struct domain *d, const struct map *listed)
{
    size_t cursor = 0, count = 0;
    const struct node_id *id;

    while ((id = map_next(listed, &cursor)) != NULL) {
        if (map_get(&d->snapshots, str_of(id->text)) != NULL || build_is_name(str_of(id->text)))
            continue; /* those of builds: build_layer.c */
        tell_node(d, str_of(id->text));
        count++;
    }
    return count;
}

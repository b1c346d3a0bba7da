/* SPDX-License-Identifier: Apache-2.0 */
/* See build_layer.h. */
#include "domain/build_layer.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/build_guest.h"
#include "domain/build_internal.h"

enum {
    LAYER_KEY_MAX = UUID_LEN + 1 + 2 * SHA256_SIZE,
    LAYER_MEM_MAX = 4 << 10,
    SETTLED_MS = 5 * 60 * 1000, /* a list that is older does not come any more */
    USE_STEP_MS = 3600 * 1000,  /* how exactly the last use is written */
};

struct layer_record {
    struct str key;  /* "<team id>/<digest in hex>" */
    struct str name; /* of the snapshot */
    int64_t used_at_ms;
};

/* clang-format off */
static const struct codec_field layer_fields[] = {
    {1, "key", CODEC_STRING, 0, offsetof(struct layer_record, key)},
    {2, "name", CODEC_STRING, 0, offsetof(struct layer_record, name)},
    {3, "usedAtMs", CODEC_INT64, 0, offsetof(struct layer_record, used_at_ms)},
};
static const struct codec_message layer_message =
    {"layer", sizeof(struct layer_record), layer_fields, COUNT_OF(layer_fields)};
/* clang-format on */

struct layer {
    struct layer_record r;
    struct arena mem;
};

struct reserved {
    char name[BUILD_NAME_LEN + 1];
};

static void layer_free(struct layer *l)
{
    arena_done(&l->mem);
    free(l);
}

static int put(struct domain *d, struct str record, struct err *err)
{
    struct layer *l = mem_zero(sizeof(*l)), *old;

    arena_init(&l->mem, LAYER_MEM_MAX);
    if (proto_decode(&layer_message, record, &l->mem, &l->r, err) != 0 || l->r.key.len == 0) {
        layer_free(l);
        return err_wrap(err, "layer of a build");
    }
    old = map_remove(&d->builds->layers, l->r.key);
    if (old != NULL)
        layer_free(old);
    map_put(&d->builds->layers, l->r.key, l);
    return 0;
}

static void save(struct domain *d, const struct layer_record *r)
{
    struct buf bytes;

    buf_init(&bytes, LAYER_MEM_MAX);
    proto_encode(&layer_message, r, &bytes);
    /* A store that is behind loses a layer, which is then made again. */
    if (buf_ok(&bytes) && store_put(d->store, STORE_LAYER, r->key, buf_str(&bytes), NULL) == 0) {
        ignore(put(d, buf_str(&bytes), NULL)); /* it was just encoded */
        store_commit(d->store, NULL, NULL);
    }
    buf_done(&bytes);
}

static struct str layer_key(char out[LAYER_KEY_MAX + 1], struct str team_id,
                            const uint8_t key[SHA256_SIZE])
{
    char hex[2 * SHA256_SIZE + 1];

    hex_encode(key, SHA256_SIZE, hex);
    ignore(snprintf(out, LAYER_KEY_MAX + 1, "%.*s/%s", STR_ARG(team_id), hex));
    return str_of(out);
}

struct str build_layer_find(struct domain *d, struct str team_id, const uint8_t key[SHA256_SIZE])
{
    char text[LAYER_KEY_MAX + 1];
    struct layer *l = map_get(&d->builds->layers, layer_key(text, team_id, key));
    struct layer_record r;

    if (l == NULL)
        return (struct str){0};
    r = l->r;
    if (clock_wall_ms() - r.used_at_ms > USE_STEP_MS) {
        r.used_at_ms = clock_wall_ms();
        save(d, &r);
        l = map_get(&d->builds->layers, str_of(text));
    }
    return l == NULL ? (struct str){0} : l->r.name;
}

void build_layer_keep(struct domain *d, struct str team_id, const uint8_t key[SHA256_SIZE],
                      struct str name)
{
    char text[LAYER_KEY_MAX + 1];
    struct layer_record r = {layer_key(text, team_id, key), name, clock_wall_ms()};

    save(d, &r);
}

void build_name_reserve(struct domain *d, char out[BUILD_NAME_LEN + 1])
{
    struct reserved *r = mem_zero(sizeof(*r));

    r->name[0] = 'b';
    id_text(r->name + 1, BUILD_NAME_LEN - 1);
    memcpy(out, r->name, sizeof(r->name));
    map_put(&d->builds->reserved, str_of(r->name), r);
}

void build_name_release(struct domain *d, const char *name)
{
    free(map_remove(&d->builds->reserved, str_of(name)));
}

bool build_is_name(struct str name)
{
    return name.len == BUILD_NAME_LEN && name.at[0] == 'b';
}

static void drop(struct domain *d, struct layer *l)
{
    ignore(store_remove(d->store, STORE_LAYER, l->r.key, NULL)); /* then it is there once more */
    map_remove(&d->builds->layers, l->r.key);
    layer_free(l);
}

static int by_use(const void *a, const void *b)
{
    const struct layer *x = *(struct layer *const *)a, *y = *(struct layer *const *)b;

    return (x->r.used_at_ms > y->r.used_at_ms) - (x->r.used_at_ms < y->r.used_at_ms);
}

void build_layers_sweep(struct domain *d)
{
    struct map *layers = &d->builds->layers;
    struct layer **list = mem_zero((layers->count + 1) * sizeof(*list)), *l;
    int64_t before = clock_wall_ms() - (int64_t)BUILD_LAYER_KEEP_S * 1000;
    size_t cursor = 0, count = 0;

    while ((l = map_next(layers, &cursor)) != NULL)
        list[count++] = l;
    qsort(list, count, sizeof(struct layer *), by_use);
    for (size_t i = 0; i < count; i++)
        if (list[i]->r.used_at_ms < before || layers->count > BUILD_LAYERS_MAX)
            drop(d, list[i]);
    store_commit(d->store, NULL, NULL);
    free(list);
}

/* What something leads to; the values mean nothing. */
static void collect(const struct domain *d, struct map *names)
{
    const struct builds *all = d->builds;
    size_t cursor = 0;
    struct reserved *r;
    struct layer *l;
    struct build *b;

    while ((r = map_next(&all->reserved, &cursor)) != NULL)
        map_put(names, str_of(r->name), r);
    cursor = 0;
    while ((l = map_next(&all->layers, &cursor)) != NULL)
        map_put(names, l->r.name, l);
    cursor = 0;
    while ((b = map_next(&all->by_id, &cursor)) != NULL)
        if (b->r.snapshot.len > 0)
            map_put(names, b->r.snapshot, b);
}

void build_layers_compare(struct domain *d, const struct map *snapshots)
{
    int64_t settled = clock_wall_ms() - SETTLED_MS;
    struct map names = {0};
    size_t cursor = 0;
    const struct node_id *id;
    struct layer *l;

    collect(d, &names);
    while ((id = map_next(snapshots, &cursor)) != NULL) {
        struct str name = {id->text, id->len};

        if (build_is_name(name) && map_get(&names, name) == NULL)
            build_snapshot_remove(d, name);
    }
    map_done(&names);
    cursor = 0;
    while ((l = map_next(&d->builds->layers, &cursor)) != NULL)
        if (l->r.used_at_ms < settled && map_get(snapshots, l->r.name) == NULL)
            drop(d, l); /* the disk lost it: it is made again */
}

int build_layers_load(struct domain *d, struct err *err)
{
    return record_each(d, STORE_LAYER, "layer", put, err);
}

void build_layers_done(struct domain *d)
{
    size_t cursor = 0;
    struct reserved *r;
    struct layer *l;

    while ((l = map_next(&d->builds->layers, &cursor)) != NULL)
        layer_free(l);
    cursor = 0;
    while ((r = map_next(&d->builds->reserved, &cursor)) != NULL)
        free(r);
    map_done(&d->builds->layers);
    map_done(&d->builds->reserved);
}

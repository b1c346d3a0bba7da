/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshots: what there is, what a start gets of one, and their end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"
#include "runtime/linux/kept.h"

struct snapshot {
    char name[SANDBOX_ID_SIZE];
    char dir[SANDBOX_DIR_SIZE]; /* held, */
    struct stack layers;        /* and these */
};

bool shelf_has(const struct linux_driver *d, const char *name)
{
    return map_get(&d->snapshots, str_of(name)) != NULL;
}

void shelf_add(struct linux_driver *d, const char *name, const char *dir,
               const struct stack *layers)
{
    struct snapshot *s = mem_zero(sizeof(*s));

    ignore(snprintf(s->name, sizeof(s->name), "%s", name));
    ignore(snprintf(s->dir, sizeof(s->dir), "%s", dir));
    stack_copy(&s->layers, layers);
    places_hold_stack(&d->places, &s->layers);
    ignore(map_put(&d->snapshots, str_of(s->name), s) != NULL); /* callers have looked */
}

static void snapshot_free(struct linux_driver *d, struct snapshot *s)
{
    ignore(map_remove(&d->snapshots, str_of(s->name)) != NULL); /* it is s */
    stack_done(&s->layers);
    free(s);
}

static void removal_undo(void *ctx)
{
    struct guest *j = ctx;
    struct linux_driver *d = j->driver;
    char images[SANDBOX_PATH_SIZE];
    struct err unused;

    ignore(snprintf(images, sizeof(images), "%s/images", j->images_from));
    ignore(tree_remove(d->data_fd, images, &unused)); /* the next start sweeps */
    place_leave(&d->places, j->images_from);
    launch_leave_layers(j);
    ignore(fsync(d->snapshots_fd)); /* should it be there again, it is removed again */
}

static const struct step removal[] = {
    {"snapshot files", NULL, removal_undo},
};

void shelf_remove(void *self, const char *name, runtime_stopped_fn *fn, void *ctx)
{
    struct linux_driver *d = self;
    struct snapshot *s = map_get(&d->snapshots, str_of(name));
    struct stop_waiter *w;
    struct guest *j;
    struct err err = {0};
    char record[PLACE_SIZE + SANDBOX_DIR_SIZE];

    if (s != NULL && s->layers.count > 0)
        warm_forget(d, s->layers.paths[s->layers.count - 1]);
    if (s == NULL) {
        ignore(err_set(&err, ERR_NOT_FOUND, "remove %s: no such snapshot", name));
        answers_stopped(&d->answers, name, &err, fn, ctx);
        return;
    }
    j = guest_new(d, name);
    w = mem_zero(sizeof(*w));
    w->fn = fn;
    w->ctx = ctx;
    list_push(&j->stops, &w->node);
    place_of_snapshot(s->dir, j->images_from);
    ignore(snprintf(record, sizeof(record), "%s/kept", s->dir));
    ignore(unlinkat(d->snapshots_fd, record, 0)); /* from now on it is none */
    stack_copy(&j->layers, &s->layers);
    snapshot_free(d, s);
    j->steps = (struct steps){.rows = removal, .count = COUNT_OF(removal), .ctx = j, .done = 1};
    j->state = SANDBOX_REAPING;
    reaper_put(d, j);
}

void shelf_each(void *self, runtime_name_fn *fn, void *ctx)
{
    struct linux_driver *d = self;
    struct snapshot *s;
    size_t cursor = 0;

    while ((s = map_next(&d->snapshots, &cursor)) != NULL)
        fn(ctx, s->name);
}

const struct stack *shelf_next_stack(const struct linux_driver *d, size_t *cursor)
{
    const struct snapshot *s = map_next(&d->snapshots, cursor);

    return s == NULL ? NULL : &s->layers;
}

int shelf_take(struct guest *g, const char *name, bool is_cold, struct err *err)
{
    struct linux_driver *d = g->driver;
    const struct snapshot *s = map_get(&d->snapshots, str_of(name));
    auto_fd int dir = -1;
    struct kept k;

    if (s == NULL)
        return err_set(err, ERR_NOT_FOUND, "no snapshot '%s'", name);
    if (dir_open(d->snapshots_fd, s->dir, &dir, err) != 0 || kept_read(dir, &k, err) != 0)
        return -1;
    g->is_restored = k.has_memory && !is_cold;
    if (g->is_restored && d->criu == NULL) {
        *err = d->criu_err;
        kept_done(&k);
        return -1;
    }
    if (g->is_restored && k.has_userns != d->host.has_userns) {
        kept_done(&k);
        return err_set(err, ERR_UNSUPPORTED, "it was saved under other user namespaces");
    }
    flats_apply(d, &k.layers);
    guest_take_kept(g, &k);
    place_of_snapshot(s->dir, g->images_from);
    return 0;
}

int shelf_open(struct linux_driver *d, struct err *err)
{
    struct names all = {.count = 0};
    struct err unused;

    if (names_read(d->snapshots_fd, &all, err) != 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        auto_fd int dir = -1;
        char place[PLACE_SIZE];
        struct kept k;

        if (strlen(all.at[i]) >= SANDBOX_DIR_SIZE ||
            dir_open(d->snapshots_fd, all.at[i], &dir, &unused) != 0 ||
            kept_read(dir, &k, &unused) != 0)
            continue;              /* a layer of others, or swept later */
        if (!shelf_has(d, k.id)) { /* else its removal was not made sure of: it is swept */
            place_of_snapshot(all.at[i], place);
            place_hold(&d->places, place);
            shelf_add(d, k.id, all.at[i], &k.layers);
        }
        kept_done(&k);
    }
    names_done(&all);
    return 0;
}

void shelf_close(struct linux_driver *d)
{
    struct snapshot *s;
    size_t cursor = 0;

    while ((s = map_next(&d->snapshots, &cursor)) != NULL)
        snapshot_free(d, s);
    map_done(&d->snapshots);
}

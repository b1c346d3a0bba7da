/* SPDX-License-Identifier: Apache-2.0 */
/* See flats.h. */
#include "runtime/linux/flats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"
#include "runtime/linux/thread.h"
#include "runtime/linux/tree_merge.h"

enum {
    REST_MS = 60000, /* after a failure, which is mostly a full disk */
    RUN_LEAST = FLAT_ABOVE / 2,
};

static const char prefix[] = "snapshots/flat-", list_name[] = "stands_for";

struct flat {
    struct list_node node;
    char dir[SANDBOX_DIR_SIZE]; /* below snapshots; held */
    char *layer;
    struct stack run;
};

/* Of the thread: a run to make one of, then to be left; or only a directory that goes. */
struct flat_job {
    struct list_node node;
    struct mail mail;
    struct linux_driver *driver;
    char dir[SANDBOX_DIR_SIZE];
    struct stack run; /* held */
    bool is_merge, is_kept, has_failed;
};

static void path_in(const char *dir, const char *name, char out[SANDBOX_PATH_SIZE])
{
    ignore(snprintf(out, SANDBOX_PATH_SIZE, "%s/%s", dir, name));
}

/* ---- the thread ---- */

static int room_check(const struct flat_job *j, struct err *err)
{
    const struct linux_driver *d = j->driver;
    uint64_t needed = d->disk_reserve_bytes;
    struct statvfs fs;

    for (size_t i = 0; i < j->run.count; i++)
        needed += disk_usage(AT_FDCWD, j->run.paths[i]);
    if (fstatvfs(d->snapshots_fd, &fs) != 0)
        return err_sys(err, errno, "free space");
    if ((uint64_t)fs.f_bavail * fs.f_frsize < needed)
        return err_set(err, ERR_NO_SPACE, "too little is free to flatten layers");
    return 0;
}

/* The list comes last, whole, and after what it speaks of. */
static int seal(const struct flat_job *j, struct err *err)
{
    const struct linux_driver *d = j->driver;
    char fresh[SANDBOX_PATH_SIZE], list[SANDBOX_PATH_SIZE];

    path_in(j->dir, "new", fresh);
    path_in(j->dir, list_name, list);
    if (syncfs(d->snapshots_fd) != 0)
        return err_sys(err, errno, "sync");
    if (stack_write(d->snapshots_fd, fresh, &j->run, err) != 0)
        return -1;
    if (syncfs(d->snapshots_fd) != 0 ||
        renameat(d->snapshots_fd, fresh, d->snapshots_fd, list) != 0)
        return err_sys(err, errno, "keep the list of layers");
    return 0;
}

static int merge(const struct flat_job *j, struct err *err)
{
    struct linux_driver *d = j->driver;
    char layer[SANDBOX_PATH_SIZE];

    path_in(j->dir, "u", layer);
    if (room_check(j, err) != 0)
        return -1;
    if (mkdirat(d->snapshots_fd, j->dir, 0700) != 0)
        return err_sys(err, errno, "mkdir %s", j->dir);
    if (tree_merge((const char *const *)j->run.paths, j->run.count, d->snapshots_fd, layer,
                   &d->flats.is_over, err) != 0)
        return -1;
    return seal(j, err);
}

static struct flat_job *next(struct flats *f)
{
    struct list_node *n;

    pthread_mutex_lock(&f->lock);
    while ((n = list_pop(&f->queue)) == NULL && !atomic_load(&f->is_over))
        pthread_cond_wait(&f->wanted, &f->lock);
    pthread_mutex_unlock(&f->lock);
    return n == NULL ? NULL : container_of(n, struct flat_job, node);
}

static void job_free(struct flat_job *j)
{
    stack_done(&j->run);
    free(j);
}

static void on_merged(void *ctx);

static void *flattener(void *ctx)
{
    struct linux_driver *d = ctx;
    struct err unused;
    char place[PLACE_SIZE];
    struct flat_job *j;

    while ((j = next(&d->flats)) != NULL) {
        if (j->is_merge) {
            j->has_failed = merge(j, &unused) != 0;
            mailbox_post(&d->mailbox, &j->mail, on_merged, j);
            continue;
        }
        places_leave_stack(&d->places, &j->run);
        place_of_snapshot(j->dir, place);
        if (!j->is_kept)
            place_leave(&d->places, place);
        job_free(j);
    }
    return NULL;
}

static void put(struct linux_driver *d, struct flat_job *j)
{
    pthread_mutex_lock(&d->flats.lock);
    list_push(&d->flats.queue, &j->node);
    pthread_cond_signal(&d->flats.wanted);
    pthread_mutex_unlock(&d->flats.lock);
}

int flats_init(struct linux_driver *d, struct err *err)
{
    struct flats *f = &d->flats;

    pthread_mutex_init(&f->lock, NULL);
    pthread_cond_init(&f->wanted, NULL);
    f->has_thread = thread_start(&f->thread, flattener, d, err) == 0;
    return f->has_thread ? 0 : err_wrap(err, "flattener");
}

/* ---- what there is ---- */

static struct flat *add(struct linux_driver *d, const char *dir, const struct stack *run)
{
    struct flat *f = mem_zero(sizeof(*f));
    char place[PLACE_SIZE];

    ignore(snprintf(f->dir, sizeof(f->dir), "%s", dir));
    place_of_snapshot(dir, place);
    f->layer = place_layer(&d->places, place);
    stack_copy(&f->run, run);
    list_push(&d->flats.all, &f->node);
    return f;
}

static void flat_free(struct flat *f)
{
    list_remove(&f->node);
    stack_done(&f->run);
    free(f->layer);
    free(f);
}

void flats_done(struct linux_driver *d)
{
    struct flats *f = &d->flats;
    struct list_node *n;

    pthread_mutex_lock(&f->lock);
    atomic_store(&f->is_over, true);
    pthread_cond_signal(&f->wanted);
    pthread_mutex_unlock(&f->lock);
    if (f->has_thread)
        pthread_join(f->thread, NULL);
    while ((n = list_pop(&f->queue)) != NULL) {
        struct flat_job *j = container_of(n, struct flat_job, node);

        if (j != f->merging)
            job_free(j); /* the next start sweeps */
    }
    if (f->merging != NULL)
        job_free(f->merging);
    while ((n = list_first(&f->all)) != NULL)
        flat_free(container_of(n, struct flat, node));
    pthread_cond_destroy(&f->wanted);
    pthread_mutex_destroy(&f->lock);
}

/* No start gets it any more; those that have it go on with it. */
static void drop(struct linux_driver *d, struct flat *f)
{
    struct flat_job *j = mem_zero(sizeof(*j));
    char list[SANDBOX_PATH_SIZE];
    auto_fd int dir = -1;
    struct err unused;

    path_in(f->dir, list_name, list);
    ignore(unlinkat(d->snapshots_fd, list, 0)); /* it is there, or nobody's */
    if (dir_open(d->snapshots_fd, f->dir, &dir, &unused) == 0)
        ignore(fsync(dir)); /* before anybody writes to what it was made of */
    j->driver = d;
    memcpy(j->dir, f->dir, sizeof(j->dir));
    flat_free(f);
    put(d, j);
}

static bool lists(const struct stack *s, const char *layer)
{
    for (size_t i = 0; i < s->count; i++) {
        if (strcmp(s->paths[i], layer) == 0)
            return true;
    }
    return false;
}

void flats_drop_with(struct linux_driver *d, const char *place)
{
    auto_free char *layer = place_layer(&d->places, place);
    struct list_node *following;

    for (struct list_node *n = list_first(&d->flats.all); n != NULL; n = following) {
        struct flat *f = container_of(n, struct flat, node);

        following = list_next(&d->flats.all, n);
        if (lists(&f->run, layer))
            drop(d, f);
    }
}

static bool is_whole(struct linux_driver *d, const struct stack *run)
{
    struct stat st;

    /* whoever was the last to list one has removed it, or is about to */
    for (size_t i = 0; i < run->count; i++) {
        if (!place_layer_is_held(&d->places, run->paths[i]) || stat(run->paths[i], &st) != 0)
            return false;
    }
    return run->count > 0;
}

void flats_sweep(struct linux_driver *d)
{
    struct list_node *following;

    for (struct list_node *n = list_first(&d->flats.all); n != NULL; n = following) {
        struct flat *f = container_of(n, struct flat, node);

        following = list_next(&d->flats.all, n);
        if (!is_whole(d, &f->run))
            drop(d, f);
    }
}

int flats_adopt(struct linux_driver *d, struct err *err)
{
    struct names all = {.count = 0};
    char list[SANDBOX_PATH_SIZE], place[PLACE_SIZE];
    struct err unused;

    if (names_read(d->snapshots_fd, &all, err) != 0)
        return -1;
    for (size_t i = 0; i < all.count; i++) {
        struct stack run = {.count = 0};

        place_of_snapshot(all.at[i], place);
        path_in(all.at[i], list_name, list);
        if (strlen(all.at[i]) < SANDBOX_DIR_SIZE && str_has_prefix(str_of(place), prefix) &&
            stack_read(d->snapshots_fd, list, &run, &unused) == 0 && is_whole(d, &run)) {
            place_hold(&d->places, place);
            ignore(add(d, all.at[i], &run) != NULL); /* it is in the list */
        }
        stack_done(&run);
    }
    names_done(&all);
    return 0;
}

/* ---- in place of the run ---- */

static bool begins_at(const struct stack *s, size_t at, const struct stack *run)
{
    for (size_t i = 0; i < run->count; i++) {
        if (at + i >= s->count || strcmp(s->paths[at + i], run->paths[i]) != 0)
            return false;
    }
    return true;
}

static void replace(struct stack *s, size_t at, const struct flat *f)
{
    for (size_t i = 0; i < f->run.count; i++)
        free(s->paths[at + i]);
    s->paths[at] = mem_text(f->layer);
    for (size_t i = at + f->run.count; i < s->count; i++)
        s->paths[i - f->run.count + 1] = s->paths[i];
    s->count -= f->run.count - 1;
}

/* In the order they were made: a run may have a flat in it. */
void flats_apply(const struct linux_driver *d, struct stack *s)
{
    for (struct list_node *n = list_first(&d->flats.all); n != NULL;
         n = list_next(&d->flats.all, n)) {
        const struct flat *f = container_of(n, struct flat, node);

        for (size_t at = 0; at + f->run.count <= s->count; at++) {
            if (begins_at(s, at, &f->run))
                replace(s, at, f);
        }
    }
}

/* ---- to make one ---- */

static bool is_flat(const struct linux_driver *d, const char *layer)
{
    return str_has_prefix(str_from(str_of(layer), strlen(d->data_dir) + 1), prefix);
}

/* The longest run of sandboxes' layers below the highest, which may be written to again; without
 * flats, unless these are what it is mostly of. */
static void choose(const struct linux_driver *d, const struct stack *s, struct stack *out)
{
    size_t from = 0, best = 0, best_from = 0;
    bool takes_flats = false;

    do {
        for (size_t i = from = 0; i + 1 < s->count; i++) {
            if (!place_is_ours(&d->places, s->paths[i]) ||
                (!takes_flats && is_flat(d, s->paths[i])))
                from = i + 1;
            if (i + 1 - from > best) {
                best = i + 1 - from;
                best_from = from;
            }
        }
        takes_flats = !takes_flats;
    } while (best < RUN_LEAST && takes_flats);
    if (best < RUN_LEAST)
        return; /* they are an image's */
    for (size_t i = 0; i < best; i++)
        stack_add(out, s->paths[best_from + i]);
}

static void begin(struct linux_driver *d, const struct stack *run)
{
    struct flat_job *j = mem_zero(sizeof(*j));
    char place[PLACE_SIZE];

    j->driver = d;
    j->is_merge = true;
    ignore(snprintf(j->dir, sizeof(j->dir), "flat-%llx", (unsigned long long)d->serial++));
    stack_copy(&j->run, run);
    places_hold_stack(&d->places, &j->run);
    place_of_snapshot(j->dir, place);
    place_hold(&d->places, place);
    d->flats.merging = j;
    put(d, j);
}

void flats_look(struct linux_driver *d)
{
    const struct stack *deep;
    size_t cursor = 0;

    flats_sweep(d);
    if (d->flats.merging != NULL || clock_mono_us() / 1000 < d->flats.not_before_ms)
        return;
    while ((deep = shelf_next_stack(d, &cursor)) != NULL && d->flats.merging == NULL) {
        struct stack s = {.count = 0}, run = {.count = 0};

        stack_copy(&s, deep);
        flats_apply(d, &s);
        if (s.count > FLAT_ABOVE)
            choose(d, &s, &run);
        if (run.count > 0)
            begin(d, &run);
        stack_done(&s);
        stack_done(&run);
    }
}

static void on_merged(void *ctx)
{
    struct flat_job *j = ctx;
    struct linux_driver *d = j->driver;

    d->flats.merging = NULL;
    j->is_merge = false;
    j->is_kept = !j->has_failed;
    if (j->is_kept)
        ignore(add(d, j->dir, &j->run) != NULL); /* it is in the list */
    else
        d->flats.not_before_ms = clock_mono_us() / 1000 + REST_MS;
    put(d, j);
    flats_look(d);
}

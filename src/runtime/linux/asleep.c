/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of paused sandboxes and snapshots, on the loop. A sandbox that was paused is hot
 * (its processes stand still), cools, and is then nothing but files. To wake it another struct is
 * launched, which takes its place when it runs. */
#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"
#include "runtime/linux/kept.h"

static void on_cold(void *ctx);

bool asleep_is_paused(const struct guest *s)
{
    return s->state == SANDBOX_HOT || s->state == SANDBOX_COOLING || s->state == SANDBOX_PAUSED ||
           s->state == SANDBOX_KEEPING || s->state == SANDBOX_WAKING;
}

/* What only the paused one needed goes even if its layer stays, unless that is in use. */
static void files_undo(void *ctx)
{
    static const char *const parts[] = {"images", "w"};
    struct guest *s = ctx;
    char path[SANDBOX_PATH_SIZE];
    struct err unused;

    for (size_t i = 0; !s->is_taken && i < COUNT_OF(parts); i++) {
        ignore(snprintf(path, sizeof(path), "%s/%s", s->dir, parts[i]));
        ignore(tree_remove(s->driver->files_fd, path, &unused)); /* the next start sweeps */
    }
    launch_leave_directories(s);
    launch_leave_layers(s);
}

static const struct step files[] = {
    {"files", NULL, files_undo},
};

void asleep_only_files(struct guest *s)
{
    s->steps = (struct steps){.rows = files, .count = COUNT_OF(files), .ctx = s, .done = 1};
}

/* For callers whose answer is known at once. */
static void refuse(struct linux_driver *d, const char *id, const struct err *err,
                   runtime_started_fn *fn, void *ctx)
{
    answers_started(&d->answers, id, err, fn, ctx);
}

/* The last word of what s->saving is about; the callback may ask for anything. */
static void answer(struct guest *s, const struct err *err)
{
    struct saving done = s->saving;
    uint64_t took_us = done.still_us != 0 ? done.still_us : clock_mono_us() - done.asked_us;

    s->saving = (struct saving){.is_asked = false};
    done.fn(done.ctx, s->id, took_us, err);
}

static void ask(struct guest *s, enum runtime_work work, runtime_started_fn *fn, void *ctx)
{
    s->saving = (struct saving){
        .is_asked = true, .work = work, .asked_us = clock_mono_us(), .fn = fn, .ctx = ctx};
    s->err = (struct err){0};
}

/* ---- the way down ---- */

static void cool(struct guest *s)
{
    struct linux_driver *d = s->driver;

    timer_stop(&s->deadline);
    watch_stop(&s->pid_watch);
    state_remove(s); /* one that was frozen has it */
    d->hot_bytes -= s->hot_bytes;
    s->hot_bytes = 0;
    s->is_frozen = false;
    s->state = SANDBOX_COOLING;
    s->keeps_files = true;
    reaper_put(d, s);
}

static void on_cold(void *ctx)
{
    cool(ctx);
}

static void stay_hot(struct guest *s)
{
    s->state = SANDBOX_HOT;
    if (!s->is_frozen)
        timer_start(s->driver->loop, &s->deadline, s->driver->hot_ms, on_cold, s);
}

/* On the disk it is already; now it is said so. */
static void fall_asleep(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct sandbox_stats stats = {0};

    disk_remove(&d->disk, &s->disk);
    netns_unprepare(&s->cell.net); /* what came to them meanwhile is of before */
    s->is_frozen = s->saving.is_frozen && !s->has_ended;
    if (s->is_frozen) { /* nothing else has its memory: for as long as it takes */
        stay_hot(s);
        return;
    }
    cgroup_stats(&d->cgroups, s->cell.cgroup, &stats);
    state_remove(s);
    if (!s->saving.keeps_memory || d->hot_ms == 0 || s->has_ended ||
        stats.memory_bytes > d->hot_bytes_max - d->hot_bytes) {
        cool(s);
        return;
    }
    s->hot_bytes = stats.memory_bytes;
    d->hot_bytes += s->hot_bytes;
    stay_hot(s);
}

void asleep_ended(struct guest *s)
{
    cool(s);
}

void asleep_cool_all(struct linux_driver *d)
{
    for (struct list_node *n = list_first(&d->all); n != NULL; n = list_next(&d->all, n)) {
        struct guest *s = container_of(n, struct guest, all);

        if (s->state == SANDBOX_HOT && !s->is_frozen)
            cool(s);
    }
}

/* Not from inside the call that asks for it. */
static void answer_stops_later(struct guest *s)
{
    struct list_node *n;

    while ((n = list_pop(&s->stops)) != NULL) {
        struct stop_waiter *w = container_of(n, struct stop_waiter, node);

        answers_stopped(&s->driver->answers, s->id, NULL, w->fn, w->ctx);
        free(w);
    }
}

/* What was asked of it meanwhile is done when it is only files. */
void asleep_remove(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct list parked = {0};
    struct err unused, gone = {0};
    int dir;

    ignore(err_set(&gone, ERR_NOT_FOUND, "%s was stopped", s->id));
    if (dir_open(d->files_fd, s->dir, &dir, &unused) == 0) {
        kept_remove(dir); /* it is nobody's any more, whatever comes now */
        own_close_fd(&dir);
    }
    ignore(map_remove(&d->sandboxes, str_of(s->id)) != NULL); /* it is s */
    s->state = SANDBOX_REAPING;
    if (s->saving.is_asked)
        answer(s, &gone);
    if (s->waker != NULL) {
        d->starting--;
        refuse(d, s->id, &gone, s->waker->on_started, s->waker->started_ctx);
        guest_free(s->waker);
        s->waker = NULL;
    }
    answer_stops_later(s);
    parked_take(s, &parked);
    reaper_put(d, s);
    parked_again(d, &parked);
}

void asleep_stop(struct guest *s)
{
    if (s->state == SANDBOX_HOT)
        cool(s);
    else if (s->state == SANDBOX_PAUSED)
        asleep_remove(s);
}

/* ---- saving ---- */

static void begin_saving(struct guest *s, guest_job_fn *job)
{
    struct linux_driver *d = s->driver;
    struct list parked = {0};
    struct err err = {0};

    if (d->has_savers && creators_put(&d->savers, s, job))
        return;
    if (d->has_savers)
        ignore(
            err_set(&err, ERR_LIMIT, "%s: %d starts are waiting already", s->id, START_QUEUE_MAX));
    else
        err = d->criu_err;
    s->state = s->saving.has_paused ? SANDBOX_PAUSED : SANDBOX_RUNNING;
    refuse(d, s->id, &err, s->saving.fn, s->saving.ctx);
    s->saving = (struct saving){.is_asked = false};
    parked_take(s, &parked);
    parked_again(d, &parked);
}

/* What it went through while nobody looked. */
static void catch_up(struct guest *s)
{
    bool must_stop = list_first(&s->stops) != NULL;

    if (s->state == SANDBOX_RUNNING && s->has_ended)
        lifecycle_end(s);
    else if (must_stop)
        lifecycle_stop(s);
}

static void keep_snapshot(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct stack layers = {.count = 0};
    auto_free char *own = NULL;
    char place[PLACE_SIZE];

    if (s->saving.has_paused)
        place_of_sandbox(s->dir, place);
    else
        place_of_snapshot(s->saving.dir, place);
    own = place_layer(&d->places, place);
    stack_copy(&layers, &s->layers);
    stack_add(&layers, own);
    shelf_add(d, s->saving.name, s->saving.dir, &layers);
    stack_done(&layers);
    flats_look(d);
}

static const char *const verbs[] = {
    [RUNTIME_PAUSE] = "pause", [RUNTIME_RESUME] = "resume", [RUNTIME_SNAPSHOT] = "snapshot"};

void asleep_saved(void *sandbox)
{
    struct guest *s = sandbox;
    struct linux_driver *d = s->driver;
    bool has_failed = s->saving.has_failed;
    struct list parked = {0};
    struct err err = s->err;

    if (s->saving.work == RUNTIME_SNAPSHOT && !has_failed)
        keep_snapshot(s);
    if (s->saving.work == RUNTIME_PAUSE && !has_failed)
        fall_asleep(s);
    else
        s->state = s->saving.has_paused ? SANDBOX_PAUSED : SANDBOX_RUNNING;
    if (has_failed)
        ignore(err_wrap(&err, "%s %s", verbs[s->saving.work], s->id));
    parked_take(s, &parked);
    answer(s, has_failed ? &err : NULL);
    catch_up(s);
    parked_again(d, &parked);
}

void asleep_pause(void *self, const char *id, bool keeps_memory, runtime_started_fn *fn, void *ctx)
{
    struct linux_driver *d = self;
    struct guest *s = map_get(&d->sandboxes, str_of(id));
    struct err err = {0};

    if (s == NULL)
        ignore(err_set(&err, ERR_NOT_FOUND, "pause %s: no such sandbox", id));
    else if (s->state != SANDBOX_RUNNING && (!asleep_is_paused(s) || s->state == SANDBOX_WAKING))
        ignore(err_set(&err, ERR_CONFLICT, "pause %s: it is about to be something else", id));
    if (s != NULL && parked_pause(s, keeps_memory, fn, ctx))
        return;
    if (err.kind != ERR_NONE || s->state != SANDBOX_RUNNING) {
        refuse(d, id, err.kind == ERR_NONE ? NULL : &err, fn, ctx);
        return;
    }
    ask(s, RUNTIME_PAUSE, fn, ctx);
    s->saving.keeps_memory = keeps_memory;
    s->state = SANDBOX_SAVING;
    begin_saving(s, pause_job);
}

static void take_snapshot(struct guest *s)
{
    s->saving.has_paused = s->state == SANDBOX_PAUSED;
    s->state = s->saving.has_paused ? SANDBOX_KEEPING : SANDBOX_SAVING;
    begin_saving(s, snapshot_job);
}

void asleep_snapshot(void *self, const char *id, const char *name, bool keeps_memory,
                     runtime_started_fn *fn, void *ctx)
{
    struct linux_driver *d = self;
    struct guest *s = map_get(&d->sandboxes, str_of(id));
    struct err err = {0};

    if (s == NULL)
        ignore(err_set(&err, ERR_NOT_FOUND, "snapshot %s: no such sandbox", id));
    else if (shelf_has(d, name))
        ignore(err_set(&err, ERR_EXISTS, "snapshot %s: there is one '%s'", id, name));
    else if (s->state == SANDBOX_HOT && s->is_frozen)
        ignore(err_set(&err, ERR_UNSUPPORTED,
                       "snapshot %s: its memory cannot be kept on the disk; resume it first", id));
    else if (s->saving.is_asked || s->waker != NULL ||
             (s->state != SANDBOX_RUNNING && s->state != SANDBOX_HOT &&
              s->state != SANDBOX_COOLING && s->state != SANDBOX_PAUSED))
        ignore(err_set(&err, ERR_CONFLICT, "snapshot %s: something else is under way", id));
    if (s != NULL && parked_snapshot(s, name, keeps_memory, fn, ctx))
        return;
    if (err.kind != ERR_NONE) {
        refuse(d, id, &err, fn, ctx);
        return;
    }
    ask(s, RUNTIME_SNAPSHOT, fn, ctx);
    s->saving.keeps_memory = keeps_memory;
    ignore(snprintf(s->saving.name, sizeof(s->saving.name), "%s", name));
    ignore(snprintf(s->saving.dir, sizeof(s->saving.dir), "%s.%llx", name,
                    (unsigned long long)d->serial++));
    if (s->state == SANDBOX_HOT)
        cool(s); /* its layer is to be shared: it may not go on in it */
    else if (s->state != SANDBOX_COOLING)
        take_snapshot(s);
}

/* ---- the way up ---- */

static void wake(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct guest *n = s->waker;
    struct list parked = {0};
    struct err err = {0};

    s->waker = NULL;
    if (restore_prepare(n, s, &err) == 0) {
        n->wakes = s;
        s->state = SANDBOX_WAKING;
        if (lifecycle_begin(n))
            return;
        s->state = SANDBOX_PAUSED;
        ignore(err_set(&err, ERR_LIMIT, "%d starts are waiting already", START_QUEUE_MAX));
        places_leave_stack(&d->places, &n->layers);
    }
    ignore(err_wrap(&err, "resume %s", s->id));
    d->starting--;
    refuse(d, s->id, &err, n->on_started, n->started_ctx);
    guest_free(n);
    parked_take(s, &parked);
    parked_again(d, &parked);
}

static void warm_up(struct guest *s)
{
    struct guest *n = s->waker;

    s->waker = NULL;
    s->driver->starting--;
    timer_stop(&s->deadline);
    ask(s, RUNTIME_RESUME, n->on_started, n->started_ctx);
    guest_swap_request(s, n);
    guest_free(n);
    s->answer_len = 0;
    s->state = SANDBOX_SAVING;
    if (creators_put(&s->driver->savers, s, warm_up_job))
        return;
    ignore(err_set(&s->err, ERR_LIMIT, "resume %s: too much is waiting already", s->id));
    refuse(s->driver, s->id, &s->err, s->saving.fn, s->saving.ctx);
    s->saving = (struct saving){.is_asked = false};
    stay_hot(s);
}

/* `n` is what is asked, of the sandbox of its name. */
void asleep_wake(struct linux_driver *d, struct guest *n)
{
    struct guest *s = map_get(&d->sandboxes, str_of(n->id));
    struct err err = {0};

    if (s == NULL)
        ignore(err_set(&err, ERR_NOT_FOUND, "resume %s: no such sandbox", n->id));
    else if (s->state != SANDBOX_RUNNING && parked_resume(s, n))
        return;
    else if (s->state != SANDBOX_RUNNING && !asleep_is_paused(s))
        ignore(err_set(&err, ERR_CONFLICT, "resume %s: it is about to end", n->id));
    if (err.kind != ERR_NONE || s->state == SANDBOX_RUNNING) {
        refuse(d, n->id, err.kind == ERR_NONE ? NULL : &err, n->on_started, n->started_ctx);
        guest_free(n);
        return;
    }
    s->waker = n;
    d->starting++;
    if (s->state == SANDBOX_HOT && !n->is_cold)
        warm_up(s);
    else if (s->state == SANDBOX_HOT)
        cool(s);
    else if (s->state == SANDBOX_PAUSED)
        wake(s);
}

void asleep_resume(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn, void *ctx)
{
    struct guest *n = guest_asked(self, spec);

    n->on_started = fn;
    n->started_ctx = ctx;
    asleep_wake(self, n);
}

void asleep_cooled(struct guest *s)
{
    s->keeps_files = false;
    s->has_ended = false;
    s->state = SANDBOX_PAUSED;
    asleep_only_files(s);
    if (list_first(&s->stops) != NULL)
        asleep_remove(s);
    else if (s->waker != NULL)
        wake(s);
    else if (s->saving.is_asked)
        take_snapshot(s);
}

void asleep_warmed_up(void *sandbox)
{
    struct guest *s = sandbox;

    if (!s->saving.has_failed) {
        lifecycle_spawned(s);
        return;
    }

    struct linux_driver *d = s->driver;
    struct list parked = {0};
    struct err err = s->err;

    own_close_fd(&s->control_fd);
    s->control_fd = -1;
    if (!s->is_frozen)
        state_remove(s);
    stay_hot(s);
    ignore(err_wrap(&err, "resume %s", s->id));
    parked_take(s, &parked);
    answer(s, &err);
    catch_up(s);
    parked_again(d, &parked);
}

/* They are of no use, and may be large. */
static void drop_images(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct guest *janitor = guest_new(d, "");
    char from[SANDBOX_PATH_SIZE], place[PLACE_SIZE];

    ignore(snprintf(janitor->dir, sizeof(janitor->dir), "images.%llx",
                    (unsigned long long)d->serial++));
    ignore(snprintf(from, sizeof(from), "%s/images", s->dir));
    if (renameat(d->files_fd, from, d->files_fd, janitor->dir) != 0) {
        guest_free(janitor); /* the next pause, or its end, removes them */
        return;
    }
    place_of_sandbox(janitor->dir, place);
    place_hold(&d->places, place);
    asleep_only_files(janitor);
    janitor->state = SANDBOX_REAPING;
    reaper_put_resting(d, janitor);
}

void asleep_answered(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct list parked = {0};
    struct err err = {0};
    bool is_good;

    watch_stop(&s->control_watch);
    own_close_fd(&s->control_fd);
    s->control_fd = -1;
    d->hot_bytes -= s->hot_bytes;
    s->hot_bytes = 0;
    s->state = SANDBOX_RUNNING;
    s->is_frozen = false;
    watch_set(&s->pid_watch, EPOLLIN); /* it may have been set aside */
    drop_images(s);
    guest_watch_disk(s);
    is_good = launch_ready(s, &err) == 0;
    if (!is_good)
        ignore(err_wrap(&err, "resume %s: it runs", s->id));
    parked_take(s, &parked);
    answer(s, is_good ? NULL : &err);
    catch_up(s);
    parked_again(d, &parked);
}

void asleep_woken(struct guest *n)
{
    struct guest *s = n->wakes;
    struct linux_driver *d = n->driver;
    struct list_node *w;
    struct err unused;
    int dir;

    n->wakes = NULL;
    while ((w = list_pop(&s->stops)) != NULL)
        list_push(&n->stops, w);
    parked_take(s, &n->parked);
    if (dir_open(d->files_fd, s->dir, &dir, &unused) == 0) {
        /* should it be there after a reboot: what is younger wins */
        kept_set_aside(dir, SET_ASIDE);
        own_close_fd(&dir);
    }
    ignore(map_put(&d->sandboxes, str_of(n->id), n) != NULL); /* it was s */
    drop_images(s);
    s->is_taken = n->is_in_place;
    n->is_beyond_return = false;
    s->state = SANDBOX_REAPING;
    reaper_put(d, s);
}

/* Of a resume that failed too late. */
struct returning {
    runtime_started_fn *fn;
    void *ctx;
    struct err why;
};

static void on_returned(void *ctx, const char *id, uint64_t took_us, const struct err *err)
{
    struct returning *r = ctx;

    if (err != NULL)
        ignore(err_wrap(&r->why, "it runs, for it could not be paused again"));
    r->fn(r->ctx, id, took_us, &r->why);
    free(r);
}

void asleep_return(struct guest *n)
{
    struct linux_driver *d = n->driver;
    struct returning *r = mem_zero(sizeof(*r));

    *r = (struct returning){.fn = n->on_started, .ctx = n->started_ctx, .why = n->err};
    ignore(err_wrap(&r->why, "resume %s", n->id));
    restore_wait_for_memory(d); /* it did not answer in time: perhaps for want of it */
    d->starting--;
    warm_rest(d);
    own_close_fd(&n->control_fd);
    n->control_fd = -1;
    n->steps.done = n->steps.count;
    asleep_woken(n);
    watch_set(&n->pid_watch, EPOLLIN); /* it may have been set aside */
    guest_watch_disk(n);
    ask(n, RUNTIME_PAUSE, on_returned, r);
    n->saving.keeps_memory = true;
    n->state = SANDBOX_SAVING;
    begin_saving(n, pause_job);
}

void asleep_not_woken(struct guest *paused, struct guest *n)
{
    struct linux_driver *d = n->driver;
    struct list parked = {0};

    paused->state = SANDBOX_PAUSED;
    parked_take(paused, &parked);
    lifecycle_answer_start(n, &n->err);
    guest_free(n);
    if (paused->state == SANDBOX_PAUSED && list_first(&paused->stops) != NULL)
        asleep_remove(paused);
    parked_again(d, &parked);
}

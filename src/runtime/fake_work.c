/* SPDX-License-Identifier: Apache-2.0 */
/* Pausing, resuming and snapshots of the fake driver: names on the disk, and nothing else. Tests
 * can hold each work back for as long as the file data_dir/fake.hold is there. Called by fake.c. */
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "runtime/driver.h"
#include "runtime/fake_internal.h"

enum { HOLD_LOOK_MS = 5 };

enum { STEP_FREEZE, STEP_KEEP, STEP_THAW, STEP_COUNT };

static const char *const names[STEP_COUNT] = {
    [STEP_FREEZE] = "freeze",
    [STEP_KEEP] = "keep",
    [STEP_THAW] = "thaw",
};

static const char *const pause_steps[] = {"freeze", "keep", NULL};
static const char *const resume_steps[] = {"thaw", NULL};

static const struct {
    const char *verb;
    const char *const *steps;
} works[] = {
    [RUNTIME_PAUSE] = {"pause",    pause_steps },
    [RUNTIME_RESUME] = {"resume",   resume_steps},
    [RUNTIME_SNAPSHOT] = {"snapshot", pause_steps },
};

static bool is_held(const struct fake *f)
{
    char path[PATH_MAX];

    return f->data_dir != NULL &&
           snprintf(path, sizeof(path), "%s/fake.hold", f->data_dir) < (int)sizeof(path) &&
           access(path, F_OK) == 0;
}

static int pause_now(struct fake *f, struct fake_sandbox *s, struct err *err)
{
    if (s->state == RUNTIME_PAUSED)
        return 0;
    if (fake_must_fail(f, names[STEP_FREEZE], err) || fake_must_fail(f, names[STEP_KEEP], err) ||
        fake_keep(f, FAKE_PAUSED, s->id, err) != 0)
        return -1;
    s->state = RUNTIME_PAUSED;
    f->running--;
    return 0;
}

static int resume_now(struct fake *f, struct fake_sandbox *s, struct err *err)
{
    if (s->state == RUNTIME_RUNNING)
        return 0;
    if (fake_must_fail(f, names[STEP_THAW], err))
        return -1;
    if (f->running >= f->sandboxes_max)
        return err_set(err, ERR_LIMIT, "%zu sandboxes are the most", f->sandboxes_max);
    fake_drop(f, FAKE_PAUSED, s->id);
    s->state = RUNTIME_RUNNING;
    f->running++;
    return 0;
}

static int snapshot_now(struct fake *f, const struct fake_work *w, struct err *err)
{
    if (fake_must_fail(f, names[STEP_FREEZE], err) || fake_must_fail(f, names[STEP_KEEP], err))
        return -1;
    return fake_keep(f, FAKE_SNAPSHOTS, w->name, err);
}

static void work_free(struct fake_work *w)
{
    list_remove(&w->node);
    free(w->id);
    free(w->name);
    free(w);
}

static void work_end(struct fake *f, struct fake_work *w, const struct err *err)
{
    struct err why;

    if (err != NULL) {
        why = *err;
        ignore(err_wrap(&why, "%s %s", works[w->verb].verb, w->id));
    }
    answers_started(&f->answers, w->id, err == NULL ? NULL : &why, w->fn, w->ctx);
    work_free(w);
}

static void work_do(struct fake *f, struct fake_work *w)
{
    struct fake_sandbox *s = map_get(&f->sandboxes, str_of(w->id));
    struct err err = {0};
    int result;

    s->is_busy = false;
    if (w->verb == RUNTIME_PAUSE)
        result = pause_now(f, s, &err);
    else if (w->verb == RUNTIME_RESUME)
        result = resume_now(f, s, &err);
    else
        result = snapshot_now(f, w, &err);
    work_end(f, w, result == 0 ? NULL : &err);
}

static void on_tick(void *ctx)
{
    struct fake *f = ctx;
    struct list_node *at;

    if (is_held(f)) {
        timer_start(f->loop, &f->tick, HOLD_LOOK_MS, on_tick, f);
        return;
    }
    while ((at = list_first(&f->works)) != NULL)
        work_do(f, container_of(at, struct fake_work, node));
}

static void begin(struct fake *f, const struct fake_work *wanted, const char *id)
{
    struct fake_sandbox *s = map_get(&f->sandboxes, str_of(id));
    struct fake_work *w = mem_zero(sizeof(*w));
    struct err err = {0};

    *w = *wanted;
    w->id = mem_text(id);
    if (s == NULL)
        err_set(&err, ERR_NOT_FOUND, "no such sandbox");
    else if (s->is_busy)
        err_set(&err, ERR_CONFLICT, "another change is under way");
    if (err.kind != ERR_NONE) {
        work_end(f, w, &err);
        return;
    }
    s->is_busy = true;
    list_push(&f->works, &w->node);
    on_tick(f);
}

void fake_pause(void *self, const char *id, bool keeps_memory, runtime_started_fn *fn, void *ctx)
{
    const struct fake_work w = {.verb = RUNTIME_PAUSE, .fn = fn, .ctx = ctx};

    (void)keeps_memory; /* there is none */
    begin(self, &w, id);
}

void fake_resume(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn, void *ctx)
{
    const struct fake_work w = {.verb = RUNTIME_RESUME, .fn = fn, .ctx = ctx};

    begin(self, &w, spec->id);
}

void fake_snapshot(void *self, const char *id, const char *name, bool keeps_memory,
                   runtime_started_fn *fn, void *ctx)
{
    const struct fake_work w = {
        .verb = RUNTIME_SNAPSHOT, .name = mem_text(name), .fn = fn, .ctx = ctx};

    (void)keeps_memory;
    begin(self, &w, id);
}

void fake_snapshot_remove(void *self, const char *name, runtime_stopped_fn *fn, void *ctx)
{
    struct fake *f = self;
    bool is_there = fake_is_kept(f, FAKE_SNAPSHOTS, name);
    struct err err = {0};

    if (is_there)
        fake_drop(f, FAKE_SNAPSHOTS, name);
    else
        err_set(&err, ERR_NOT_FOUND, "remove %s: no such snapshot", name);
    answers_stopped(&f->answers, name, is_there ? NULL : &err, fn, ctx);
}

void fake_each_snapshot(void *self, runtime_name_fn *fn, void *ctx)
{
    fake_each_kept(self, FAKE_SNAPSHOTS, fn, ctx);
}

void fake_capabilities(const void *self, struct runtime_capabilities *out)
{
    const struct fake *f = self;
    bool can = f->data_dir != NULL;

    *out = (struct runtime_capabilities){can, can, can ? "" : "there is no data directory"};
}

const char *const *fake_work_step_names(const void *self, enum runtime_work work)
{
    (void)self;
    return works[work].steps;
}

void fake_works_drop(struct fake *f, const char *id)
{
    struct list_node *at = list_first(&f->works);
    struct err err = {0};

    err_set(&err, ERR_CONFLICT, "it was stopped");
    while (at != NULL) {
        struct fake_work *w = container_of(at, struct fake_work, node);

        at = list_next(&f->works, at);
        if (id == NULL)
            work_free(w);
        else if (strcmp(w->id, id) == 0)
            work_end(f, w, &err);
    }
    if (list_first(&f->works) == NULL)
        timer_stop(&f->tick);
}

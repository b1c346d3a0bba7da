/* SPDX-License-Identifier: Apache-2.0 */
/* See roundtrip.h. Called by main/doctor.c. */
#include "runtime/roundtrip.h"

enum { DEADLINE_MS = 60000 };

static const char id[] = "probe";
static const struct sandbox_limits limits = {64 << 20, 100, 64, 64 << 20};

/* Each is asked for when the one before has been answered. */
enum stage {
    STAGE_START,
    STAGE_PAUSE,
    STAGE_RESUME,
    STAGE_STOP,
    STAGE_DONE,
};

struct roundtrip {
    struct loop *loop;
    struct runtime *runtime;
    const char *rootfs;
    enum stage stage;
    struct timer deadline;
    struct err err; /* the first */
};

static void ask(struct roundtrip *t);

static void answered(struct roundtrip *t, const struct err *err)
{
    if (err != NULL && t->err.kind == ERR_NONE)
        t->err = *err;
    /* whatever went wrong, it is to be gone; a start that failed has left nothing */
    if (t->err.kind == ERR_NONE)
        t->stage++;
    else
        t->stage = t->stage == STAGE_START || t->stage == STAGE_STOP ? STAGE_DONE : STAGE_STOP;
    if (t->stage == STAGE_DONE)
        loop_stop(t->loop);
    else
        ask(t);
}

static void on_moved(void *ctx, const char *unused, uint64_t took_us, const struct err *err)
{
    ignore(unused == NULL && took_us == 0); /* which, and for how long, does not matter */
    answered(ctx, err);
}

static void on_stopped(void *ctx, const char *unused, const struct err *err)
{
    ignore(unused == NULL);
    answered(ctx, err);
}

static void on_deadline(void *ctx)
{
    struct roundtrip *t = ctx;

    ignore(err_set(&t->err, ERR_TIMEOUT, "a sandbox was not paused and restored in %d s",
                   DEADLINE_MS / 1000));
    loop_stop(t->loop);
}

static void ask(struct roundtrip *t)
{
    const struct sandbox_spec spec = {
        .id = id, .rootfs = t->rootfs, .hostname = id, .limits = limits, .init = STR("{}")};

    switch (t->stage) {
    case STAGE_START: runtime_start(t->runtime, &spec, on_moved, t); break;
    case STAGE_PAUSE: runtime_pause(t->runtime, id, true, on_moved, t); break;
    case STAGE_RESUME: runtime_resume(t->runtime, &spec, on_moved, t); break;
    case STAGE_STOP: runtime_stop(t->runtime, id, on_stopped, t); break;
    case STAGE_DONE: break;
    }
}

int roundtrip_run(struct loop *l, struct runtime *r, const char *rootfs, struct err *err)
{
    struct roundtrip t = {.loop = l, .runtime = r, .rootfs = rootfs};

    timer_start(l, &t.deadline, DEADLINE_MS, on_deadline, &t);
    ask(&t);
    if (loop_run(l, err) != 0)
        return -1;
    timer_stop(&t.deadline);
    if (t.err.kind == ERR_NONE)
        return 0;
    *err = t.err;
    return -1;
}

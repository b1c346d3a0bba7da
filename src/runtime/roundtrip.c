/* SPDX-License-Identifier: Apache-2.0 */
/* See roundtrip.h. Called by main/doctor.c and node/probe.c. */
#include "runtime/roundtrip.h"

static const char id[] = "probe";
static const struct sandbox_limits limits = {64 << 20, 100, 64, 64 << 20};

/* Each is asked for when the one before has been answered. */
enum stage {
    STAGE_CLEAR,
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
    struct err err; /* the first */
    roundtrip_fn *fn;
    void *ctx;
};

static void ask(struct roundtrip *t);

static void finish(struct roundtrip *t)
{
    struct roundtrip done = *t;

    roundtrip_free(t);
    done.fn(done.ctx, done.err.kind == ERR_NONE ? NULL : &done.err);
}

static void answered(struct roundtrip *t, const struct err *err)
{
    if (err != NULL && t->err.kind == ERR_NONE && t->stage != STAGE_CLEAR)
        t->err = *err;
    /* whatever went wrong, it is to be gone; a start that failed has left nothing */
    if (t->err.kind == ERR_NONE)
        t->stage++;
    else
        t->stage = t->stage == STAGE_START || t->stage == STAGE_STOP ? STAGE_DONE : STAGE_STOP;
    if (t->stage == STAGE_DONE)
        finish(t);
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

static void ask(struct roundtrip *t)
{
    const struct sandbox_spec spec = {
        .id = id, .rootfs = t->rootfs, .hostname = id, .limits = limits, .init = STR("{}")};

    switch (t->stage) {
    case STAGE_START: runtime_start(t->runtime, &spec, on_moved, t); break;
    case STAGE_PAUSE: runtime_pause(t->runtime, id, true, on_moved, t); break;
    case STAGE_RESUME: runtime_resume(t->runtime, &spec, on_moved, t); break;
    case STAGE_CLEAR:
    case STAGE_STOP: runtime_stop(t->runtime, id, on_stopped, t); break;
    case STAGE_DONE: break;
    }
}

struct roundtrip *roundtrip_begin(struct loop *l, struct runtime *r, const char *rootfs,
                                  roundtrip_fn *fn, void *ctx)
{
    struct roundtrip *t = mem_zero(sizeof(*t));

    *t = (struct roundtrip){.loop = l, .runtime = r, .rootfs = rootfs, .fn = fn, .ctx = ctx};
    ask(t);
    return t;
}

void roundtrip_free(struct roundtrip *t)
{
    free(t);
}

struct waiting {
    struct loop *loop;
    struct err err;
};

static void on_known(void *ctx, const struct err *err)
{
    struct waiting *w = ctx;

    if (err != NULL)
        w->err = *err;
    loop_stop(w->loop);
}

int roundtrip_run(struct loop *l, struct runtime *r, const char *rootfs, struct err *err)
{
    struct waiting w = {.loop = l};

    ignore(roundtrip_begin(l, r, rootfs, on_known, &w) == NULL); /* it frees itself */
    if (loop_run(l, err) != 0)
        return -1;
    if (w.err.kind == ERR_NONE)
        return 0;
    *err = w.err;
    return -1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the fake driver share: fake.c, fake_work.c (pausing and the like), fake_keep.c
 * (what is on the disk). Never included elsewhere. */
#ifndef RUNTIME_FAKE_INTERNAL_H
#define RUNTIME_FAKE_INTERNAL_H

#include "base/map.h"
#include "runtime/answers.h"

enum fake_place {
    FAKE_PAUSED, /* data_dir/sandboxes */
    FAKE_SNAPSHOTS,
    FAKE_PLACE_COUNT,
};

struct fake_sandbox {
    char *id;
    enum runtime_state state;
    bool is_busy; /* a work on it waits to be done */
};

/* What is paused, resumed or kept at the end of the turn, or when no test holds it any more. */
struct fake_work {
    struct list_node node;
    enum runtime_work verb;
    char *id;
    char *name; /* of a snapshot; else NULL */
    runtime_started_fn *fn;
    void *ctx;
};

struct fake {
    struct loop *loop;
    struct answers answers;
    struct map sandboxes;
    size_t running;
    size_t sandboxes_max;
    const char *data_dir;         /* NULL: nothing can be kept */
    int places[FAKE_PLACE_COUNT]; /* directories; -1 without data_dir */
    char fail_step[32];
    struct list works;
    struct timer tick; /* while a test holds them */
};

struct fake_sandbox *fake_add(struct fake *f, const char *id, enum runtime_state state);
void fake_remove(struct fake *f, struct fake_sandbox *s);
/* Is this step to fail? `err` says so then. Tests name it by fail_step, or from outside of the
 * process in the file data_dir/fake.fail. */
bool fake_must_fail(const struct fake *f, const char *step, struct err *err);

/* fake_work.c */
void fake_pause(void *self, const char *id, bool keeps_memory, runtime_started_fn *fn, void *ctx);
void fake_resume(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn, void *ctx);
void fake_snapshot(void *self, const char *id, const char *name, bool keeps_memory,
                   runtime_started_fn *fn, void *ctx);
void fake_snapshot_remove(void *self, const char *name, runtime_stopped_fn *fn, void *ctx);
void fake_each_snapshot(void *self, runtime_name_fn *fn, void *ctx);
void fake_capabilities(const void *self, struct runtime_capabilities *out);
const char *const *fake_work_step_names(const void *self, enum runtime_work work);
/* Those of a sandbox that is stopped fail; id NULL: those of all are forgotten. */
void fake_works_drop(struct fake *f, const char *id);

/* fake_keep.c: a name in a directory is all there is of what is kept. */
must_check int fake_keep_open(struct fake *f, struct err *err);
void fake_keep_close(struct fake *f);
must_check int fake_keep(struct fake *f, enum fake_place place, const char *name, struct err *err);
bool fake_is_kept(const struct fake *f, enum fake_place place, const char *name);
void fake_drop(struct fake *f, enum fake_place place, const char *name); /* harmless without it */
void fake_each_kept(const struct fake *f, enum fake_place place, runtime_name_fn *fn, void *ctx);

#endif

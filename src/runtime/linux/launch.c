/* SPDX-License-Identifier: Apache-2.0 */
/* The launch as a table of steps. Undoing all of them is also how a sandbox that ran is freed: the
 * reaper does nothing else. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "base/id.h"
#include "runtime/linux/boot_id.h"
#include "runtime/linux/creator.h"
#include "runtime/linux/devtree.h"
#include "runtime/linux/files.h"
#include "runtime/linux/outward.h"
#include "runtime/linux/overlay.h"
#include "runtime/linux/shift.h"

enum {
    MACHINE_ID_BYTES = 16,
    BUSY_TRIES = 1000, /* with the pause below: five seconds */
    BUSY_PAUSE_NS = 5000000,
};

/* Held since it was asked for: see driver.c. */
int launch_layers(void *sandbox, struct err *err)
{
    ignore(sandbox == NULL && err == NULL); /* nothing is left to do */
    return 0;
}

void launch_leave_layers(void *sandbox)
{
    struct guest *s = sandbox;

    if (s->keeps_files)
        return;
    places_leave_stack(&s->driver->places, &s->layers);
    stack_done(&s->layers);
}

int launch_slot(void *sandbox, struct err *err)
{
    struct guest *s = sandbox;

    return slots_take(&s->driver->slots, &s->slot, err);
}

void launch_give_slot(void *sandbox)
{
    struct guest *s = sandbox;

    if (s->slot != NULL)
        slots_give(&s->driver->slots, s->slot);
    s->slot = NULL;
}

int launch_space_check(struct linux_driver *d, struct err *err)
{
    struct statvfs fs;

    if (fstatvfs(d->files_fd, &fs) != 0)
        return err_sys(err, errno, "free space");
    if ((uint64_t)fs.f_bavail * fs.f_frsize < d->disk_reserve_bytes)
        return err_set(err, ERR_NO_SPACE, "less than %llu bytes free in %s",
                       (unsigned long long)d->disk_reserve_bytes, d->data_dir);
    return 0;
}

/* Without mapping, what is root's inside must be the sandbox's root's on disk. */
static int layer_make(struct guest *s, const char *name, mode_t mode, struct err *err)
{
    struct linux_driver *d = s->driver;
    char path[SANDBOX_PATH_SIZE];

    ignore(snprintf(path, sizeof(path), "%s/%s", s->dir, name));
    if (mkdirat(d->files_fd, path, mode) != 0)
        return err_sys(err, errno, "mkdir %s", path);
    if (d->host.has_userns && !d->host.has_idmap &&
        fchownat(d->files_fd, path, s->slot->uid, s->slot->uid, 0) != 0)
        return err_sys(err, errno, "chown %s", path);
    return 0;
}

/* As if the sandbox had written it. */
static int etc_make(struct guest *s, const char *name, struct str text, struct err *err)
{
    struct linux_driver *d = s->driver;
    char path[SANDBOX_PATH_SIZE];

    if (layer_make(s, "u/etc", 0755, err) != 0)
        return -1;
    ignore(snprintf(path, sizeof(path), "%s/u/etc/%s", s->dir, name));
    if (file_create(d->files_fd, path, text, err) != 0)
        return -1;
    if (fchmodat(d->files_fd, path, 0644, 0) != 0)
        return err_sys(err, errno, "chmod %s", path);
    if (d->host.has_userns && !d->host.has_idmap &&
        fchownat(d->files_fd, path, s->slot->uid, s->slot->uid, 0) != 0)
        return err_sys(err, errno, "chown %s", path);
    return 0;
}

/* One that begins from what another was must not pass for it. */
static int machine_id_make(struct guest *s, struct err *err)
{
    unsigned char bytes[MACHINE_ID_BYTES];
    char text[2 * MACHINE_ID_BYTES + 2];

    id_random(bytes, sizeof(bytes));
    for (size_t i = 0; i < sizeof(bytes); i++)
        ignore(snprintf(text + 2 * i, 3, "%02x", bytes[i]));
    ignore(snprintf(text + sizeof(text) - 2, 2, "\n"));
    return etc_make(s, "machine-id", str_of(text), err);
}

/* The template knows nothing of our name server. What it has there is hidden; the sandbox may
 * change it. Then one that goes on, or begins from it, has what it made of it. */
static int settings_make(struct guest *s, struct err *err)
{
    struct linux_driver *d = s->driver;
    size_t count = s->layers.count;

    if (count > 0 && place_is_ours(&d->places, s->layers.paths[count - 1]))
        return s->wakes != NULL ? 0 : machine_id_make(s, err);
    return d->host.has_outward ? etc_make(s, "resolv.conf", str_of(outward_resolv_conf), err) : 0;
}

/* For the next process; not made sure of, as a sandbox that runs does not survive its machine. */
static int layers_write(struct guest *s, struct err *err)
{
    char path[SANDBOX_PATH_SIZE];

    if (s->layers.count == 0)
        return 0;
    ignore(snprintf(path, sizeof(path), "%s/layers", s->dir));
    return stack_write(s->driver->files_fd, path, &s->layers, err);
}

void launch_leave_directories(void *sandbox)
{
    struct guest *s = sandbox;
    char name[PLACE_SIZE];

    if (!s->keeps_files)
        place_leave(&s->driver->places, place_of_sandbox(s->dir, name));
}

/* The layer is there, and the list of those below it. What says that the layer was written without
 * syncs must go, or it cannot be used again: what is in it was synced since, by the pause. */
static int take_directories(struct guest *s, struct err *err)
{
    char path[SANDBOX_PATH_SIZE], name[PLACE_SIZE];

    ignore(snprintf(path, sizeof(path), "%s/w/work/incompat", s->dir));
    if (tree_remove(s->driver->files_fd, path, err) != 0)
        return -1;
    place_hold(&s->driver->places, place_of_sandbox(s->dir, name));
    return 0;
}

int launch_directories(void *sandbox, struct err *err)
{
    struct guest *s = sandbox;
    char name[PLACE_SIZE];

    if (launch_space_check(s->driver, err) != 0)
        return -1;
    if (s->is_in_place)
        return take_directories(s, err);
    if (mkdirat(s->driver->files_fd, s->dir, 0755) != 0)
        return err_sys(err, errno, "mkdir %s", s->dir);
    place_hold(&s->driver->places, place_of_sandbox(s->dir, name));
    if (layer_make(s, "u", 0755, err) == 0 && layer_make(s, "w", 0755, err) == 0 &&
        settings_make(s, err) == 0 && layers_write(s, err) == 0)
        return 0;
    launch_leave_directories(s);
    return -1;
}

static int cell_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    return slot_pool_take(&s->driver->pool, &s->cell, err);
}

void launch_free_cell(void *sandbox)
{
    struct guest *s = sandbox;

    cell_free(&s->driver->cgroups, &s->cell);
}

static int limits_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    return cgroup_limit(&s->driver->cgroups, s->cell.cgroup, &s->limits, err);
}

/* Where owners cannot be mapped, what is not ours is used as a copy with other owners. */
static int shift_all(struct guest *s, struct overlay_spec *spec, struct stack *out, struct err *err)
{
    struct linux_driver *d = s->driver;

    for (size_t i = 0; i <= s->layers.count; i++) {
        const char *path = i == 0 ? s->rootfs : s->layers.paths[i - 1];
        const struct shift shift = {path, d->shifted_dir, s->slot->uid, &d->shift_lock};
        char *shifted = NULL;

        if (i > 0 && place_is_ours(&d->places, path))
            shifted = mem_text(path);
        else if (shift_template(&shift, &shifted, err) != 0)
            return -1;
        if (i > 0)
            out->paths[out->count++] = shifted;
        else
            spec->rootfs = shifted;
    }
    spec->layers = (const char *const *)out->paths;
    return 0;
}

/* A layer is free once the last mount of it is gone, which the kernel does after the processes. */
static int make_overlay(struct guest *s, const struct overlay_spec *spec, struct err *err)
{
    const struct timespec pause = {.tv_nsec = BUSY_PAUSE_NS};

    for (unsigned tries = 0;; tries++) {
        struct err why = {0};

        if (overlay_make(spec, &s->root_fd, &why) == 0)
            return 0;
        if (!s->is_in_place || why.sys != EBUSY || tries >= BUSY_TRIES) {
            *err = why;
            return -1;
        }
        nanosleep(&pause, NULL);
    }
}

void launch_close_overlay(void *sandbox)
{
    struct guest *s = sandbox;

    own_close_fd(&s->root_fd);
    own_close_fd(&s->dev_fd);
    own_close_fd(&s->boot_fd);
    s->root_fd = s->dev_fd = s->boot_fd = -1;
}

int launch_overlay(void *sandbox, struct err *err)
{
    struct guest *s = sandbox;
    struct linux_driver *d = s->driver;
    bool must_shift = d->host.has_userns && !d->host.has_idmap;
    struct stack shifted = {.count = 0};
    char dir[SANDBOX_PATH_SIZE];
    struct overlay_spec spec = {
        .rootfs = s->rootfs,
        .layers = (const char *const *)s->layers.paths,
        .layer_count = s->layers.count,
        .dir = dir,
        .userns_fd = d->host.has_idmap ? s->slot->userns_fd : -1,
        .uid = s->slot->uid,
        .by_path = !d->host.has_layer_fds,
    };
    int result = must_shift ? shift_all(s, &spec, &shifted, err) : 0;

    ignore(snprintf(dir, sizeof(dir), "%s/%s", d->files_dir, s->dir)); /* both were checked */
    if (result == 0)
        result = make_overlay(s, &spec, err);
    if (must_shift && spec.rootfs != s->rootfs)
        free((void *)(uintptr_t)spec.rootfs);
    stack_done(&shifted);
    if (result != 0)
        return -1;
    if (s->boot_id[0] == '\0')
        id_uuid(s->boot_id);
    if (s->is_ahead)
        warm_service_look(s);
    if (devtree_clone("dev", spec.userns_fd, &s->dev_fd, err) == 0 &&
        boot_id_make(s->boot_id, &s->boot_fd, err) == 0)
        return 0;
    launch_close_overlay(s);
    return -1;
}

static int process_run(void *ctx, struct err *err)
{
    return process_spawn(ctx, err);
}

void launch_end_process(void *sandbox)
{
    process_end(sandbox);
}

static int maps_run(void *ctx, struct err *err)
{
    return process_map(ctx, err);
}

static int attach_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct linux_driver *d = s->driver;

    return cgroup_attach(&d->cgroups, s->cell.cgroup, s->pid, d->host.has_clone_into, err);
}

static int release_run(void *ctx, struct err *err)
{
    return process_release(ctx, err);
}

/* On the loop, when envd has answered, gone, or run out of time; s->err tells the latter two. */
int launch_ready(void *sandbox, struct err *err)
{
    struct guest *s = sandbox;
    struct str line, answer = {s->answer, s->answer_len};

    if (s->err.kind != ERR_NONE) {
        *err = s->err;
        return -1;
    }
    if (str_has_prefix(answer, "HTTP/1.1 2")) {
        if (!s->is_claimed && !s->is_restored)
            process_expose(s);
        return 0;
    }
    line = str_cut(answer, '\r', &answer);
    return err_set(err, str_has_prefix(line, "HTTP/1.1 4") ? ERR_INVALID : ERR_SYSTEM,
                   "envd answered '%.*s'", STR_ARG(line));
}

int launch_state(void *sandbox, struct err *err)
{
    struct guest *s = sandbox;

    return s->has_state ? 0 : state_write(s, err);
}

void launch_forget_state(void *sandbox)
{
    state_remove(sandbox);
}

static const struct step launch[] = {
    {"layers",      launch_layers,      launch_leave_layers     },
    {"slot",        launch_slot,        launch_give_slot        },
    {"directories", launch_directories, launch_leave_directories},
    {"cell",        cell_run,           launch_free_cell        },
    {"limits",      limits_run,         NULL                    },
    {"overlay",     launch_overlay,     launch_close_overlay    },
    {"process",     process_run,        launch_end_process      },
    {"maps",        maps_run,           NULL                    },
    {"attach",      attach_run,         NULL                    },
    {"release",     release_run,        NULL                    },
    {"ready",       launch_ready,       NULL                    },
    {"state",       launch_state,       launch_forget_state     },
};

enum { STEPS_ON_LOOP = 2 };

const char *const launch_step_names[] = {"layers",  "slot",    "directories", "cell",   "limits",
                                         "overlay", "process", "maps",        "attach", "release",
                                         "ready",   "state",   NULL};

_Static_assert(COUNT_OF(launch_step_names) == COUNT_OF(launch) + 1, "a name for each step");

void launch_init(struct guest *s)
{
    s->steps = (struct steps){
        .rows = s->is_restored ? restore_steps : launch,
        .count = s->is_restored ? restore_step_count : COUNT_OF(launch),
        .ctx = s,
        .fail_at = s->driver->fail_step,
    };
}

void launch_adopt(struct guest *s)
{
    launch_init(s);
    s->steps.done = s->steps.count;
}

size_t launch_creator_steps(const struct guest *s)
{
    return s->steps.count - STEPS_ON_LOOP;
}

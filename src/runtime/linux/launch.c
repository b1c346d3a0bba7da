/* SPDX-License-Identifier: Apache-2.0 */
/* The launch as a table of steps. Undoing all of them is also how a sandbox that ran is freed: the
 * reaper does nothing else. */
#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "runtime/linux/creator.h"
#include "runtime/linux/devtree.h"
#include "runtime/linux/files.h"
#include "runtime/linux/outward.h"
#include "runtime/linux/overlay.h"
#include "runtime/linux/shift.h"

static int slot_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    return slots_take(&s->driver->slots, &s->slot, err);
}

static void slot_undo(void *ctx)
{
    struct guest *s = ctx;

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

/* The template knows nothing of our name server. What it has there is hidden, as if the sandbox had
 * written the file: it may change it. */
static int resolver_make(struct guest *s, struct err *err)
{
    struct linux_driver *d = s->driver;
    char path[SANDBOX_PATH_SIZE];

    if (!d->host.has_outward)
        return 0;
    if (layer_make(s, "u/etc", 0755, err) != 0)
        return -1;
    ignore(snprintf(path, sizeof(path), "%s/u/etc/resolv.conf", s->dir));
    if (file_create(d->files_fd, path, str_of(outward_resolv_conf), err) != 0)
        return -1;
    if (fchmodat(d->files_fd, path, 0644, 0) != 0)
        return err_sys(err, errno, "chmod %s", path);
    if (d->host.has_userns && !d->host.has_idmap &&
        fchownat(d->files_fd, path, s->slot->uid, s->slot->uid, 0) != 0)
        return err_sys(err, errno, "chown %s", path);
    return 0;
}

static void directories_undo(void *ctx)
{
    struct guest *s = ctx;
    struct err ignored;

    ignore(tree_remove(s->driver->files_fd, s->dir, &ignored)); /* the next start sweeps */
}

static int directories_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    if (launch_space_check(s->driver, err) != 0)
        return -1;
    if (mkdirat(s->driver->files_fd, s->dir, 0755) != 0)
        return err_sys(err, errno, "mkdir %s", s->dir);
    if (layer_make(s, "u", 0755, err) == 0 && layer_make(s, "w", 0755, err) == 0 &&
        resolver_make(s, err) == 0)
        return 0;
    directories_undo(s);
    return -1;
}

static int cell_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    return slot_pool_take(&s->driver->pool, &s->cell, err);
}

static void cell_undo(void *ctx)
{
    struct guest *s = ctx;

    cell_free(&s->driver->cgroups, &s->cell);
}

static int limits_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    return cgroup_limit(&s->driver->cgroups, s->cell.cgroup, &s->limits, err);
}

static int overlay_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct linux_driver *d = s->driver;
    auto_free char *shifted = NULL;
    char dir[SANDBOX_PATH_SIZE];
    struct overlay_spec spec = {
        .rootfs = s->rootfs,
        .dir = dir,
        .userns_fd = d->host.has_idmap ? s->slot->userns_fd : -1,
        .uid = s->slot->uid,
        .by_path = !d->host.has_layer_fds,
    };

    if (d->host.has_userns && !d->host.has_idmap) {
        const struct shift shift = {s->rootfs, d->shifted_dir, s->slot->uid, &d->shift_lock};

        if (shift_template(&shift, &shifted, err) != 0)
            return -1;
        spec.rootfs = shifted;
    }
    ignore(snprintf(dir, sizeof(dir), "%s/%s", d->files_dir, s->dir)); /* both were checked */
    if (overlay_make(&spec, &s->root_fd, err) != 0)
        return -1;
    if (devtree_clone("dev", spec.userns_fd, &s->dev_fd, err) == 0)
        return 0;
    own_close_fd(&s->root_fd);
    s->root_fd = -1;
    return -1;
}

static void overlay_undo(void *ctx)
{
    struct guest *s = ctx;

    own_close_fd(&s->root_fd);
    own_close_fd(&s->dev_fd);
    s->root_fd = s->dev_fd = -1;
}

static int process_run(void *ctx, struct err *err)
{
    return process_spawn(ctx, err);
}

static void process_undo(void *ctx)
{
    process_end(ctx);
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
static int ready_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct str line, answer = {s->answer, s->answer_len};

    if (s->err.kind != ERR_NONE) {
        *err = s->err;
        return -1;
    }
    if (str_has_prefix(answer, "HTTP/1.1 2")) {
        if (!s->is_claimed)
            process_expose(s);
        return 0;
    }
    line = str_cut(answer, '\r', &answer);
    return err_set(err, str_has_prefix(line, "HTTP/1.1 4") ? ERR_INVALID : ERR_SYSTEM,
                   "envd answered '%.*s'", STR_ARG(line));
}

static int state_run(void *ctx, struct err *err)
{
    return state_write(ctx, err);
}

static void state_undo(void *ctx)
{
    state_remove(ctx);
}

static const struct step launch[] = {
    {"slot",        slot_run,        slot_undo       },
    {"directories", directories_run, directories_undo},
    {"cell",        cell_run,        cell_undo       },
    {"limits",      limits_run,      NULL            },
    {"overlay",     overlay_run,     overlay_undo    },
    {"process",     process_run,     process_undo    },
    {"maps",        maps_run,        NULL            },
    {"attach",      attach_run,      NULL            },
    {"release",     release_run,     NULL            },
    {"ready",       ready_run,       NULL            },
    {"state",       state_run,       state_undo      },
};

enum { STEPS_ON_LOOP = 2 };

const char *const launch_step_names[] = {"slot",    "directories", "cell",  "limits",
                                         "overlay", "process",     "maps",  "attach",
                                         "release", "ready",       "state", NULL};

_Static_assert(COUNT_OF(launch_step_names) == COUNT_OF(launch) + 1, "a name for each step");

void launch_init(struct guest *s)
{
    s->steps = (struct steps){
        .rows = launch, .count = COUNT_OF(launch), .ctx = s, .fail_at = s->driver->fail_step};
}

void launch_adopt(struct guest *s)
{
    launch_init(s);
    s->steps.done = s->steps.count;
}

size_t launch_creator_steps(void)
{
    return COUNT_OF(launch) - STEPS_ON_LOOP;
}

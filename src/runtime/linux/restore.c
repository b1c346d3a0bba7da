/* SPDX-License-Identifier: Apache-2.0 */
/* The launch of what CRIU restores, on a saver: as launch.c, but the processes are there already.
 * Their files are in a new layer over those they were saved with, or, where nobody else needs that,
 * in the same layer. Then there is a point of no return: just before the first of them runs, what
 * was kept is revoked. What fails before changes nothing of what is kept. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "runtime/linux/boot_id.h"
#include "runtime/linux/criu.h"
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/files.h"
#include "runtime/linux/images.h"
#include "runtime/linux/kept.h"
#include "runtime/linux/pager.h"
#include "runtime/linux/saver.h"
#include "runtime/linux/tool.h"

/* In the layer it was paused with, where nobody else has it below him: files keep their inode
 * numbers, which some programs look at, and stacks do not grow. Not if it has memory and shall boot
 * without: should that fail, its files must still be those of the memory. */
static void choose_place(struct guest *n, struct guest *s, struct kept *k)
{
    place_of_sandbox(s->dir, n->images_from);
    n->is_in_place = place_holders(&s->driver->places, n->images_from) == 1 &&
                     k->layers.count > 0 && n->is_restored == k->has_memory;
    if (!n->is_in_place) {
        flats_apply(s->driver, &k->layers);
        return;
    }
    flats_drop_with(s->driver, n->images_from);
    memcpy(n->dir, s->dir, sizeof(n->dir));
    free(k->layers.paths[--k->layers.count]);
}

int restore_prepare(struct guest *n, struct guest *s, struct err *err)
{
    struct linux_driver *d = s->driver;
    struct kept k;
    int dir;

    if (dir_open(d->files_fd, s->dir, &dir, err) != 0)
        return -1;
    if (kept_read(dir, &k, err) != 0) {
        own_close_fd(&dir);
        return -1;
    }
    own_close_fd(&dir);
    n->is_restored = k.has_memory && !n->is_cold;
    if (n->is_restored && (d->criu == NULL || k.has_userns != d->host.has_userns)) {
        if (d->criu == NULL)
            *err = d->criu_err;
        else
            ignore(err_set(err, ERR_UNSUPPORTED, "it was saved under other user namespaces"));
        kept_done(&k);
        return -1;
    }
    choose_place(n, s, &k);
    guest_take_kept(n, &k);
    return 0;
}

enum {
    PIDS_OF_CRIU = 64,   /* besides those it restores, which are as many as they were */
    EAGER_US = 60000000, /* no restore is lazy for so long after one that failed */
};

/* Those to restore from, below the directory, which may have the ones of its pause. */
static const char linked[] = "restore";

static void linked_remove(struct guest *s)
{
    char path[SANDBOX_PATH_SIZE];
    struct err unused;

    ignore(snprintf(path, sizeof(path), "%s/%s", s->dir, linked));
    ignore(tree_remove(s->driver->files_fd, path, &unused)); /* they go with the sandbox, then */
}

static int link_images(struct guest *s, struct err *err)
{
    struct linux_driver *d = s->driver;
    char from[SANDBOX_PATH_SIZE], to[SANDBOX_PATH_SIZE];
    auto_fd int from_fd = -1;
    auto_fd int to_fd = -1;

    ignore(snprintf(from, sizeof(from), "%s/images", s->images_from));
    ignore(snprintf(to, sizeof(to), "%s/%s", s->dir, linked));
    linked_remove(s); /* of one that was cut off */
    /* some are opened by what is restored, which is nobody here; the way to them is closed */
    if (mkdirat(d->files_fd, to, 0755) != 0)
        return err_sys(err, errno, "mkdir %s", to);
    if (dir_open(d->data_fd, from, &from_fd, err) != 0 ||
        dir_open(d->files_fd, to, &to_fd, err) != 0)
        return -1;
    return images_link(from_fd, to_fd, d->host.has_userns, s->slot->uid, err);
}

static void directories_undo(void *ctx)
{
    const struct guest *s = ctx;

    if (s->is_in_place && !s->keeps_files)
        linked_remove(ctx);
    launch_leave_directories(ctx);
}

static int directories_run(void *ctx, struct err *err)
{
    if (launch_directories(ctx, err) != 0)
        return -1;
    if (link_images(ctx, err) == 0)
        return 0;
    directories_undo(ctx);
    return -1;
}

static int groups_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    return slot_pool_take_groups(&s->driver->pool, &s->cell, err);
}

/* The processor's comes when they run: CRIU is in the group, too. */
static int limits_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct sandbox_limits limits = {.memory_bytes = s->limits.memory_bytes,
                                    .pids_max = s->limits.pids_max};

    if (limits.pids_max != 0)
        limits.pids_max += PIDS_OF_CRIU;
    return cgroup_limit(&s->driver->cgroups, s->cell.cgroup, &limits, err);
}

/* From here on the files are theirs, and not those of the memory that was kept. The next process
 * must find them running, then. */
static int pass_return(struct guest *s, struct err *err)
{
    auto_fd int dir = -1;

    if (dir_open(s->driver->files_fd, s->dir, &dir, err) != 0 || state_write(s, err) != 0)
        return -1;
    s->is_beyond_return = true;
    return kept_revoke(dir, s->driver->revokes, err);
}

static int about_to_run(void *ctx, const struct criu_restored *made, struct err *err)
{
    struct guest *s = ctx;

    s->pid = made->pid;
    s->pidfd = made->pidfd;
    s->is_child = true;
    s->cell.net.fd = made->netns_fd;
    if (process_start_time(s->driver->proc_fd, s->pid, &s->start_time, err) != 0 ||
        (s->driver->host.has_userns && tool_forbid_userns(s->pidfd, err) != 0) ||
        process_rename(s, err) != 0 || process_call(s, err) != 0)
        return -1;
    return s->is_in_place ? pass_return(s, err) : 0;
}

static bool may_be_lazy(const struct guest *s, const char *images)
{
    struct linux_driver *d = s->driver;
    auto_fd int dir = -1;
    struct err unused;

    return d->lazy_bytes_min > 0 && clock_mono_us() >= atomic_load(&d->lazy_not_before_us) &&
           dir_open(AT_FDCWD, images, &dir, &unused) == 0 &&
           pager_pays(dir, d->lazy_bytes_min, s->limits.memory_bytes);
}

void restore_wait_for_memory(struct linux_driver *d)
{
    atomic_store(&d->lazy_not_before_us, clock_mono_us() + EAGER_US);
}

/* What is there of a restore that failed has changed nothing, so that it can be asked for again:
 * then it waits for its memory, and so do others for a while. */
static int restore_at(const struct guest *s, struct criu_restore *r, struct criu_restored *out,
                      struct err *err)
{
    r->is_lazy = may_be_lazy(s, r->images);
    if (criu_restore(r, out, err) == 0)
        return 0;
    if (r->is_lazy)
        restore_wait_for_memory(s->driver);
    return -1;
}

static int restore(struct guest *s, struct criu_restored *out, struct err *err)
{
    struct linux_driver *d = s->driver;
    char images[SANDBOX_PATH_SIZE];
    struct criu_restore r = {
        .path = d->criu,
        .images = images,
        .stage = SAVER_STAGE,
        .cgroups = &d->cgroups,
        .group = s->cell.cgroup,
        .wish = &d->wish,
        .about_to_run = about_to_run,
        .ctx = s,
    };
    int result;

    ignore(snprintf(images, sizeof(images), "%s/%s/%s", d->files_dir, s->dir, linked));
    if (saver_set_guest(s->envd, err) != 0)
        return -1;
    if (move_mount(s->root_fd, "", AT_FDCWD, "root", MOVE_MOUNT_F_EMPTY_PATH) != 0)
        return err_sys(err, errno, "attach the root");
    if (move_mount(s->boot_fd, "", AT_FDCWD, boot_id_place, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
        ignore(umount2("root", MNT_DETACH)); /* it was attached just now */
        return err_sys(err, errno, "attach the boot id");
    }
    result = restore_at(s, &r, out, err);
    ignore(umount2("root", MNT_DETACH)); /* theirs is another */
    ignore(umount2("cgroup", MNT_DETACH));
    ignore(umount2(boot_id_place, MNT_DETACH));
    if (result == 0)
        netns_prepare(&d->wish, &s->cell.net); /* while their envd answers */
    return result;
}

/* They hardly ran, if at all. */
static void processes_undo(void *ctx)
{
    struct guest *s = ctx;
    auto_fd int dir = -1;
    struct err unused;

    launch_end_process(s);
    if (!s->is_beyond_return)
        return;
    s->is_beyond_return = false;
    state_remove(s);
    if (dir_open(s->driver->files_fd, s->dir, &dir, &unused) == 0)
        kept_renew(dir);
}

static int processes_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    struct linux_driver *d = s->driver;
    struct criu_restored made;

    if (restore(s, &made, err) == 0 &&
        cgroup_limit(&d->cgroups, s->cell.cgroup, &s->limits, err) == 0) {
        launch_close_overlay(s);
        linked_remove(s);
        return 0;
    }
    guest_kill(s);
    cgroup_kill(&d->cgroups, s->cell.cgroup); /* who is still in it */
    processes_undo(s);
    return -1;
}

const struct step restore_steps[] = {
    {"restore layers",      launch_layers,   launch_leave_layers },
    {"restore slot",        launch_slot,     launch_give_slot    },
    {"restore directories", directories_run, directories_undo    },
    {"restore groups",      groups_run,      launch_free_cell    },
    {"restore limits",      limits_run,      NULL                },
    {"restore overlay",     launch_overlay,  launch_close_overlay},
    {"restore processes",   processes_run,   processes_undo      },
    {"restore ready",       launch_ready,    NULL                },
    {"restore state",       launch_state,    launch_forget_state },
};

const size_t restore_step_count = COUNT_OF(restore_steps);
const char *const restore_step_names[] = {"restore layers",      "restore slot",
                                          "restore directories", "restore groups",
                                          "restore limits",      "restore overlay",
                                          "restore processes",   "restore ready",
                                          "restore state",       NULL};

_Static_assert(COUNT_OF(restore_step_names) == COUNT_OF(restore_steps) + 1, "a name for each step");

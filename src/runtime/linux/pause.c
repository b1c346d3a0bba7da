/* SPDX-License-Identifier: Apache-2.0 */
/* A pause as a table of steps, on a saver: afterwards the sandbox is on the disk, and stands still.
 * Also its counterpart while its processes are kept. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>

#include "base/clock.h"
#include "runtime/linux/criu.h"
#include "runtime/linux/files.h"
#include "runtime/linux/images.h"
#include "runtime/linux/pager.h"
#include "runtime/linux/save.h"
#include "runtime/linux/unkept.h"

int save_settle(void *sandbox, struct err *err)
{
    const struct guest *s = sandbox;

    if (s->saving.has_paused)
        return 0;
    return pager_wait(&s->driver->cgroups, s->cell.cgroup, err);
}

int save_space(void *sandbox, struct err *err)
{
    struct guest *s = sandbox;
    struct linux_driver *d = s->driver;
    struct sandbox_stats stats = {0};
    struct statvfs fs;

    if (s->saving.keeps_memory && !s->saving.has_paused)
        cgroup_stats(&d->cgroups, s->cell.cgroup, &stats);
    if (fstatvfs(d->files_fd, &fs) != 0)
        return err_sys(err, errno, "free space");
    if ((uint64_t)fs.f_bavail * fs.f_frsize < d->disk_reserve_bytes + stats.memory_bytes)
        return err_set(
            err, ERR_NO_SPACE, "%llu bytes of memory, and %llu that stay free, are needed",
            (unsigned long long)stats.memory_bytes, (unsigned long long)d->disk_reserve_bytes);
    return 0;
}

/* Files alone can be had without a freezer: what is written meanwhile may be there or not. */
int save_freeze(void *sandbox, struct err *err)
{
    struct guest *s = sandbox;
    struct linux_driver *d = s->driver;

    if (s->saving.has_paused || (!s->saving.keeps_memory && !cgroup_can_freeze(&d->cgroups)))
        return 0;
    s->saving.still_since_us = clock_mono_us();
    if (cgroup_freeze(&d->cgroups, s->cell.cgroup, true, err) == 0)
        return 0;
    save_thaw(s);
    return -1;
}

void save_thaw(void *sandbox)
{
    struct guest *s = sandbox;
    struct err unused;

    if (s->saving.still_since_us == 0)
        return;
    ignore(cgroup_freeze(&s->driver->cgroups, s->cell.cgroup, false, &unused)); /* it cannot fail */
    s->saving.still_us = clock_mono_us() - s->saving.still_since_us;
    s->saving.still_since_us = 0;
}

/* Its processes do part of the work, and would do it on the sandbox's share of the processor.
 * Nothing of the sandbox's own runs meanwhile; a node that is killed leaves it to the next one to
 * put the limit back (adopt.c). */
static int dump_unlimited(struct guest *s, const struct criu_dump *dump, struct err *err)
{
    const struct sandbox_limits limits = {.cpu_percent = s->limits.cpu_percent};
    struct linux_driver *d = s->driver;
    struct err unused;

    cgroup_lift_cpu(&d->cgroups, s->cell.cgroup);
    if (criu_dump(dump, err) == 0)
        return cgroup_limit(&d->cgroups, s->cell.cgroup, &limits, err);
    ignore(cgroup_limit(&d->cgroups, s->cell.cgroup, &limits, &unused)); /* not the reason */
    return -1;
}

int save_checkpoint(struct guest *s, const char *images, struct err *err)
{
    struct linux_driver *d = s->driver;
    const struct criu_dump dump = {
        .path = d->criu,
        .images = images,
        .pid = s->pid,
        .netns_fd = s->cell.net.fd,
        .host_netns_fd = d->wish.host_fd,
        .cgroups = &d->cgroups,
        .group = s->cell.cgroup,
    };
    auto_fd int fd = -1;
    struct err unkept;

    if (d->criu == NULL) {
        *err = d->criu_err;
        return -1;
    }
    if (dump_unlimited(s, &dump, err) != 0) {
        if (err->kind == ERR_UNSUPPORTED &&
            unkept_find(&d->cgroups, s->cell.cgroup, d->proc_fd, s->pid, &unkept))
            *err = unkept;
        return -1;
    }
    if (dir_open(AT_FDCWD, images, &fd, err) != 0)
        return -1;
    return images_part_network(fd, err);
}

static int remove_images(struct guest *s, struct err *err)
{
    char path[SANDBOX_PATH_SIZE];

    ignore(snprintf(path, sizeof(path), "%s/images", s->dir));
    return tree_remove(s->driver->files_fd, path, err);
}

static void checkpoint_undo(void *ctx)
{
    struct err unused;

    ignore(remove_images(ctx, &unused)); /* they go with the next pause, or with the sandbox */
}

static bool has_swap(void)
{
    struct sysinfo now;

    return sysinfo(&now) == 0 && now.freeswap > 0;
}

/* Instead of a checkpoint. CRIU may have let them go on. Where there is swap they take no memory.
 */
static int stay_frozen(struct guest *s, struct err *err)
{
    struct err why = {0};

    if (cgroup_freeze(&s->driver->cgroups, s->cell.cgroup, true, &why) != 0) {
        *err = why;
        return -1;
    }
    s->saving.is_frozen = true;
    if (has_swap())
        cgroup_push_out(&s->driver->cgroups, s->cell.cgroup);
    return 0;
}

static int checkpoint_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    char images[SANDBOX_PATH_SIZE];

    if (remove_images(s, err) != 0) /* of an earlier pause */
        return -1;
    if (!s->saving.keeps_memory)
        return 0;
    ignore(snprintf(images, sizeof(images), "%s/%s/images", s->driver->files_dir, s->dir));
    if (mkdir(images, 0700) != 0)
        return err_sys(err, errno, "mkdir %s", images);
    if (save_checkpoint(s, images, err) == 0)
        return 0;
    checkpoint_undo(s);
    return err->kind == ERR_UNSUPPORTED && s->driver->may_freeze ? stay_frozen(s, err) : -1;
}

/* Its overlay is volatile: what its programs synced was not. */
int save_sync(void *sandbox, struct err *err)
{
    const struct guest *s = sandbox;

    return syncfs(s->driver->files_fd) == 0 ? 0 : err_sys(err, errno, "sync");
}

void save_describe(struct guest *s, const char *id, struct kept *out)
{
    *out = (struct kept){.has_memory = s->saving.keeps_memory && !s->saving.is_frozen,
                         .is_frozen = s->saving.is_frozen,
                         .has_userns = s->driver->host.has_userns,
                         .limits = s->limits,
                         .disk_bytes = atomic_load(&s->disk.bytes),
                         .below_bytes = s->disk.below,
                         .rootfs = mem_text(s->rootfs),
                         .envd = mem_text(s->envd)};
    ignore(snprintf(out->id, sizeof(out->id), "%s", id));
    stack_copy(&out->layers, &s->layers);
}

static void record_undo(void *ctx)
{
    struct guest *s = ctx;
    auto_fd int dir = -1;
    struct err unused;

    if (dir_open(s->driver->files_fd, s->dir, &dir, &unused) != 0)
        return;
    /* its processes are there: they count, next time too */
    ignore(kept_revoke(dir, KEPT_SYNCED, &unused));
    kept_remove(dir);
}

static int record_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;
    auto_fd int dir = -1;
    char place[PLACE_SIZE];
    auto_free char *own = NULL;
    struct kept k;
    int result;

    if (s->rootfs == NULL || s->envd == NULL || s->layers.count >= STACK_MAX)
        return err_set(err, ERR_UNSUPPORTED, "nothing is known of its template");
    if (dir_open(s->driver->files_fd, s->dir, &dir, err) != 0)
        return -1;
    save_describe(s, s->id, &k);
    memcpy(k.boot_id, s->boot_id, sizeof(k.boot_id));
    place_of_sandbox(s->dir, place);
    own = place_layer(&s->driver->places, place);
    stack_add(&k.layers, own);
    result = kept_write(dir, &k, err);
    kept_done(&k);
    return result;
}

static const struct step pause_steps[] = {
    {"pause settle",     save_settle,    NULL           },
    {"pause space",      save_space,     NULL           },
    {"pause freeze",     save_freeze,    save_thaw      },
    {"pause checkpoint", checkpoint_run, checkpoint_undo},
    {"pause sync",       save_sync,      NULL           },
    {"pause record",     record_run,     record_undo    },
};

const char *const pause_step_names[] = {
    "pause settle", "pause space", "pause freeze", "pause checkpoint", "pause sync",
    "pause record", NULL};

_Static_assert(COUNT_OF(pause_step_names) == COUNT_OF(pause_steps) + 1, "a name for each step");

void save_run(struct guest *s, const struct step *rows, size_t count, const struct err *broken)
{
    struct steps steps = {.rows = rows, .count = count, .ctx = s, .fail_at = s->driver->fail_step};

    s->err = *broken;
    s->job_done = asleep_saved;
    s->saving.has_failed = broken->kind != ERR_NONE || steps_run(&steps, steps.count, &s->err) != 0;
    if (s->saving.has_failed)
        steps_undo(&steps);
}

void pause_job(struct guest *s, const struct err *broken)
{
    save_run(s, pause_steps, COUNT_OF(pause_steps), broken);
}

/* Nothing on the disk is of use once they go on in the same files. */
static int warm_up(struct guest *s, struct err *err)
{
    struct linux_driver *d = s->driver;
    auto_fd int dir = -1;

    if (dir_open(d->files_fd, s->dir, &dir, err) != 0 || process_call(s, err) != 0)
        return -1;
    if ((!s->has_state && state_write(s, err) != 0) || kept_revoke(dir, d->revokes, err) != 0)
        return -1;
    if (cgroup_freeze(&d->cgroups, s->cell.cgroup, false, err) != 0)
        return -1;
    /* while its envd answers */
    netns_prepare(&d->wish, &s->cell.net);
    kept_set_aside(dir, SET_ASIDE);
    return 0;
}

void warm_up_job(struct guest *s, const struct err *broken)
{
    s->err = *broken;
    s->job_done = asleep_warmed_up;
    s->saving.has_failed = broken->kind != ERR_NONE || warm_up(s, &s->err) != 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opening and closing the linux driver: directories, what the host can do, threads, adoption. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "runtime/linux/caps.h"
#include "runtime/linux/chroot.h"
#include "runtime/linux/criu.h"
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/envd_file.h"
#include "runtime/linux/files.h"
#include "runtime/linux/idmap.h"
#include "runtime/linux/pager.h"
#include "runtime/linux/seccomp.h"

enum {
    DIR_MAX = 800,                  /* of data_dir and run_dir: all paths below fit our buffers */
    LOCK_MS = 2000,                 /* a process that was killed may take a moment to be gone */
    SLOTS_SPARE = REAP_BACKLOG_MAX, /* ranges still in use by what the reaper has */
    READY_SPARE = 16,               /* freed ones that wait beside those of the pool */
};

static char *join(const char *dir, const char *name)
{
    char path[SANDBOX_PATH_SIZE];

    ignore(snprintf(path, sizeof(path), "%s/%s", dir, name));
    return mem_text(path);
}

/* One process per run_dir. */
static int lock_take(struct linux_driver *d, struct err *err)
{
    auto_free char *path = join(d->run_dir, "lock");

    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (d->lock_fd < 0)
        return err_sys(err, errno, "open %s", path);
    if (file_lock(d->lock_fd, LOCK_EX, LOCK_MS))
        return 0;
    return err_set(err, ERR_CONFLICT, "another process uses %s", d->run_dir);
}

/* Groups are marked with run_dir, so that servers side by side do not take each other's for
 * remains. */
static void prefix_make(struct linux_driver *d, const struct stat *st)
{
    ignore(snprintf(d->cgroup_prefix, sizeof(d->cgroup_prefix), "%llx",
                    (unsigned long long)(st->st_ino ^ (uint64_t)st->st_dev << 32) & 0xffffffffff));
}

static int dirs_open(struct linux_driver *d, const struct runtime_config *config, struct err *err)
{
    auto_free char *states = join(config->run_dir, "sandboxes");
    auto_free char *snapshots = join(config->data_dir, "snapshots");
    struct stat st;

    if (strlen(config->data_dir) > DIR_MAX || strlen(config->run_dir) > DIR_MAX)
        return err_set(err, ERR_INVALID, "data_dir or run_dir is longer than %d", DIR_MAX);
    d->data_dir = mem_text(config->data_dir);
    d->run_dir = mem_text(config->run_dir);
    d->files_dir = join(d->data_dir, "sandboxes");
    d->shifted_dir = join(d->data_dir, "shifted");
    d->stage = join(d->run_dir, "stage");
    if (dir_make(d->files_dir, err) != 0 || dir_make(d->stage, err) != 0 ||
        dir_make(states, err) != 0 || dir_open(AT_FDCWD, d->files_dir, &d->files_fd, err) != 0 ||
        dir_make(snapshots, err) != 0 ||
        dir_open(AT_FDCWD, snapshots, &d->snapshots_fd, err) != 0 ||
        dir_open(AT_FDCWD, d->data_dir, &d->data_fd, err) != 0 ||
        dir_open(AT_FDCWD, states, &d->state_fd, err) != 0 ||
        dir_open(AT_FDCWD, "/proc", &d->proc_fd, err) != 0)
        return -1;
    /* files of sandboxes have their own owners and set-user bits: nobody else may come near */
    if (fchmod(d->files_fd, 0700) != 0 || fchmod(d->snapshots_fd, 0700) != 0 ||
        fchmod(d->state_fd, 0700) != 0 || fstat(d->state_fd, &st) != 0)
        return err_sys(err, errno, "protect %s", d->files_dir);
    prefix_make(d, &st);
    places_init(&d->places, d->data_dir, d->data_fd);
    d->has_places = true;
    return lock_take(d, err);
}

static bool can_clone_into(struct linux_driver *d)
{
    static const char name[] = "probe";
    char full[CGROUP_NAME_SIZE];
    auto_fd int fd = -1;
    struct err ignored;
    bool is_good = false;

    ignore(snprintf(full, sizeof(full), "%s-%s", d->cgroup_prefix, name));
    if (d->cgroups.unified < 0)
        return false;
    ignore(cgroup_destroy(&d->cgroups, full, &ignored)); /* of a process that was killed here */
    if (cgroup_create(&d->cgroups, full, &ignored) != 0)
        return false;
    if (cgroup_unified_open(&d->cgroups, full, &fd, &ignored) == 0)
        is_good = host_can_clone_into(fd);
    ignore(cgroup_destroy(&d->cgroups, full, &ignored));
    return is_good;
}

/* Sandboxes inherit it, and the filter keeps it (seccomp_args.h). Where core files go to a program,
 * the kernel starts that as the host's root however small the limit is, but for the limit of one
 * byte (fs/coredump.c). */
static void forbid_cores(void)
{
    const struct rlimit one = {1, 1};

    ignore(setrlimit(RLIMIT_CORE, &one)); /* raising it from zero may not be ours */
}

static int host_open(struct linux_driver *d, const struct runtime_config *config, struct err *err)
{
    char parent[CGROUP_NAME_SIZE];
    auto_free char *before = join(d->run_dir, "cgroup");
    const struct cgroup_source source = {"/proc/self/mountinfo", "/proc/self/cgroup", before,
                                         parent};
    const struct probe_place place = {d->stage, d->data_dir, d->files_dir,
                                      (uint32_t)config->uid_base};

    forbid_cores();
    ignore(snprintf(parent, sizeof(parent), "sandlot-%s", d->cgroup_prefix));
    if (config->uid_base == 0 || config->uid_base > UINT32_MAX - IDS_PER_SANDBOX)
        return err_set(err, ERR_INVALID, "uid_base must be a range of the host's own");
    if (host_probe(&d->host, config, &place, err) != 0 ||
        cgroups_open(&d->cgroups, &source, config->cgroup, err) != 0)
        return -1;
    d->has_cgroups = true;
    d->wish.is_outward = d->host.has_outward;
    d->host.has_clone_into = can_clone_into(d);
    d->capabilities = caps_kept(d->host.has_userns);
    if (d->host.has_seccomp && seccomp_compile(d->host.has_userns, &d->filter, err) != 0)
        return -1;
    host_describe(&d->host, config, &d->cgroups);
    return 0;
}

static int slots_open(struct linux_driver *d, const struct runtime_config *config, struct err *err)
{
    const struct slots_config slots = {
        .count = d->sandboxes_max + (size_t)config->warm_max + SLOTS_SPARE,
        .ready_max = (size_t)config->pool_size + READY_SPARE,
        .uid_base = d->host.has_userns ? (uint32_t)config->uid_base : 0,
        .is_shared = !d->host.has_idmap,
        .has_maps = d->host.has_idmap,
    };

    return slots_init(&d->slots, &slots, err);
}

static int savers_open(struct linux_driver *d, const struct runtime_config *config, struct err *err)
{
    d->revokes = config->is_synced_after ? KEPT_SENT : KEPT_SYNCED;
    d->hot_ms = config->hot_resume_s * 1000;
    d->hot_bytes_max = config->hot_memory_bytes;
    criu_find(config->criu, &d->criu, &d->criu_err);
    if (d->criu != NULL && !cgroup_can_freeze(&d->cgroups)) {
        free(d->criu);
        d->criu = NULL;
        ignore(err_set(&d->criu_err, ERR_UNSUPPORTED,
                       "no checkpoints: there is no cgroup freezer, mount cgroup2"));
    }
    if (d->criu != NULL && pager_is_possible(d->criu))
        d->lazy_bytes_min = config->lazy_memory_bytes;
    d->savers.saves = d->has_savers = true;
    return creators_init(d, &d->savers, err);
}

static int threads_open(struct linux_driver *d, const struct runtime_config *config,
                        struct err *err)
{
    const struct slot_pool_config pool = {(size_t)config->pool_size, d->cgroup_prefix, d->wish,
                                          &d->cgroups, &d->slots};

    if (disk_init(&d->disk, d->files_fd, d->proc_fd, &d->cgroups, err) != 0)
        return -1;
    d->opened = OPENED_DISK;
    if (reaper_init(d, err) != 0)
        return -1;
    d->opened = OPENED_REAPER;
    if (flats_init(d, err) != 0)
        return -1;
    d->opened = OPENED_FLATS;
    /* before the pool makes groups that would look like remains */
    if (adopt_all(d, err) != 0 || slot_pool_init(&d->pool, &pool, err) != 0)
        return -1;
    d->opened = OPENED_POOL;
    d->opened = OPENED_CREATORS; /* some may run, whatever comes */
    if (creators_init(d, &d->creators, err) != 0 || savers_open(d, config, err) != 0)
        return -1;
    warm_init(d, config);
    flats_look(d);
    return 0;
}

static int open_all(struct linux_driver *d, const struct runtime_config *config, struct err *err)
{
    if (geteuid() != 0)
        return err_set(err, ERR_DENIED, "sandboxes need root");
    if (config->sandboxes_max == 0)
        return err_set(err, ERR_INVALID, "sandboxes_max must not be 0");
    if (chroot_become_root(err) != 0)
        return err_wrap(err, "running in a chroot");
    if (mailbox_init(&d->mailbox, d->loop, err) != 0)
        return -1;
    d->has_mailbox = true;
    d->wish.host_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    d->host_uts_fd = open("/proc/thread-self/ns/uts", O_RDONLY | O_CLOEXEC);
    if (d->wish.host_fd < 0 || d->host_uts_fd < 0)
        return err_sys(err, errno, "open our own namespaces");
    if (dirs_open(d, config, err) != 0 ||
        envd_file_keep(d->data_dir, config->envd_path, &d->envd_path, err) != 0 ||
        host_open(d, config, err) != 0 || slots_open(d, config, err) != 0)
        return -1;
    d->opened = OPENED_SLOTS;
    return threads_open(d, config, err);
}

int driver_open(struct loop *l, const struct runtime_config *config, runtime_exit_fn *on_exit,
                void *ctx, void **out, struct err *err)
{
    struct linux_driver *d = mem_zero(sizeof(*d));

    d->loop = l;
    d->on_exit = on_exit;
    d->exit_ctx = ctx;
    d->data_fd = d->snapshots_fd = -1;
    d->files_fd = d->state_fd = d->lock_fd = d->proc_fd = -1;
    d->wish.host_fd = d->host_uts_fd = -1;
    d->disk_reserve_bytes = config->disk_reserve_bytes;
    d->sandboxes_max = (size_t)config->sandboxes_max;
    d->may_freeze = strcmp(config->on_uncheckpointable, "freeze") == 0;
    d->serial = (uint64_t)clock_wall_ms() << 8; /* no name of an earlier process comes again */
    answers_init(&d->answers, l);
    pthread_mutex_init(&d->shift_lock, NULL);
    if (open_all(d, config, err) != 0) {
        driver_close(d);
        return -1;
    }
    *out = d;
    return 0;
}

/* Launches in progress are undone; what runs stays, and its files are left to the next process. */
static void sandboxes_let_go(struct linux_driver *d)
{
    struct list_node *n;

    while ((n = list_first(&d->all)) != NULL) {
        struct guest *s = container_of(n, struct guest, all);

        watch_stop(&s->pid_watch);
        /* what is paused stays on the disk; what is kept of its processes ends; one that has gone
         * on in the files of its pause must not end */
        s->keeps_files |= s->state == SANDBOX_HOT;
        if (s->state != SANDBOX_RUNNING && s->state != SANDBOX_SAVING &&
            s->state != SANDBOX_PAUSED && s->state != SANDBOX_KEEPING &&
            s->state != SANDBOX_WAKING && !s->is_beyond_return && !s->is_frozen)
            steps_undo(&s->steps); /* ends its process, too */
        guest_free(s);
    }
    map_done(&d->sandboxes);
}

void driver_close(void *self)
{
    struct linux_driver *d = self;

    if (d->opened >= OPENED_CREATORS)
        creators_done(&d->creators);
    if (d->has_savers)
        creators_done(&d->savers);
    if (d->opened >= OPENED_REAPER)
        reaper_done(d);
    if (d->opened >= OPENED_FLATS)
        flats_done(d);
    warm_done(d);
    sandboxes_let_go(d);
    if (d->opened >= OPENED_POOL)
        slot_pool_done(&d->pool);
    if (d->opened >= OPENED_DISK)
        disk_done(&d->disk);
    recent_done(&d->recent);
    if (d->opened >= OPENED_SLOTS)
        slots_done(&d->slots);
    answers_done(&d->answers);
    if (d->has_mailbox)
        mailbox_done(&d->mailbox);
    if (d->has_cgroups)
        cgroups_close(&d->cgroups);
    shelf_close(d);
    if (d->has_places)
        places_done(&d->places);
    own_close_fd(&d->data_fd);
    own_close_fd(&d->snapshots_fd);
    own_close_fd(&d->files_fd);
    own_close_fd(&d->state_fd);
    own_close_fd(&d->proc_fd);
    own_close_fd(&d->wish.host_fd);
    own_close_fd(&d->host_uts_fd);
    own_close_fd(&d->lock_fd);
    pthread_mutex_destroy(&d->shift_lock);
    free(d->filter.filter);
    free(d->data_dir);
    free(d->files_dir);
    free(d->shifted_dir);
    free(d->run_dir);
    free(d->stage);
    free(d->envd_path);
    free(d->criu);
    free(d->knowledge.text);
    free(d);
}

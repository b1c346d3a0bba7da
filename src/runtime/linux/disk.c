/* SPDX-License-Identifier: Apache-2.0 */
/* See disk.h. The thread works on copies: a sandbox may be removed while it is looked at. */
#include "runtime/linux/disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "runtime/linux/files.h"
#include "runtime/linux/thread.h"
#include "runtime/linux/unlinked.h"

enum {
    LOOK_PERIOD_MS = 1000,
    SLOW_FACTOR = 10, /* a walk takes at most this part of the time */
    STRIKES_MAX = 3,
    DEPTH_MAX = 512, /* each level holds a descriptor, 32 KiB, and some of our stack */
    ENTRIES_MAX = 4 << 20,
    BLOCK_SIZE = 512,
    NAME_SIZE = 128,
    PROCS_SIZE = 64 << 10,
    IO_SIZE = 1024,
};

/* Deeper or larger than we are willing to walk: taken as above any limit. */
static const uint64_t beyond_measure = UINT64_MAX;

struct look {
    char dir[NAME_SIZE], cgroup[CGROUP_NAME_SIZE];
    uint64_t limit, below, cpu_us, bytes_before;
    int pid;
    unsigned strikes;
    /* found */
    uint64_t bytes, cpu_now, took_us;
    bool has_changed;
};

struct walk {
    uint64_t bytes;
    size_t entries;
    bool is_beyond;
};

static void walk_dir(struct walk *w, int dir, unsigned depth);

static void walk_entry(struct walk *w, int dir, const char *name, unsigned depth)
{
    struct stat st;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* gone meanwhile */
    w->entries++;
    /* a file with several names is met once for each */
    w->bytes += (uint64_t)st.st_blocks * BLOCK_SIZE /
                (S_ISDIR(st.st_mode) || st.st_nlink == 0 ? 1 : st.st_nlink);
    if (!S_ISDIR(st.st_mode))
        return;
    if (depth >= DEPTH_MAX) {
        w->is_beyond = true;
        return;
    }

    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0)
        walk_dir(w, fd, depth + 1);
}

/* Takes `dir`. */
static void walk_dir(struct walk *w, int dir, unsigned depth)
{
    DIR *entries = fdopendir(dir);
    struct dirent *e;

    if (entries == NULL) {
        own_close_fd(&dir);
        return;
    }
    while (!w->is_beyond && (e = readdir(entries)) != NULL) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            walk_entry(w, dir, e->d_name, depth);
        if (w->entries >= ENTRIES_MAX)
            w->is_beyond = true;
    }
    closedir(entries);
}

uint64_t disk_usage(int dir, const char *name)
{
    struct walk w = {0};
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return 0;
    walk_dir(&w, fd, 0);
    return w.is_beyond ? beyond_measure : w.bytes;
}

static uint64_t written_by(int proc_dir, uint64_t pid)
{
    char path[NAME_SIZE], space[IO_SIZE];
    struct str text;
    struct err ignored;
    uint64_t bytes = 0;

    ignore(snprintf(path, sizeof(path), "%llu/io", (unsigned long long)pid));
    if (file_read(proc_dir, path, space, sizeof(space), &text, &ignored) == 0)
        ignore(text_field(text, "write_bytes:", &bytes)); /* zero is as good as unknown */
    return bytes;
}

/* The process that wrote most, other than the first one. 0: none did. */
static uint64_t largest_writer(const struct disk *d, const struct look *l)
{
    auto_free char *space = mem_zero(PROCS_SIZE);
    struct str procs;
    struct err ignored;
    uint64_t pid, worst = 0, most = 0;

    if (cgroup_procs(d->cgroups, l->cgroup, space, PROCS_SIZE, &procs, &ignored) != 0)
        return 0;
    while (procs.len > 0) {
        if (!str_to_u64(str_cut(procs, '\n', &procs), &pid) || pid <= 1 || (int)pid == l->pid)
            continue;

        uint64_t bytes = written_by(d->proc_fd, pid);

        if (bytes > 0 && bytes >= most) {
            most = bytes;
            worst = pid;
        }
    }
    return worst;
}

static bool is_listed(const struct disk *d, const struct look *l, uint64_t wanted)
{
    auto_free char *space = mem_zero(PROCS_SIZE);
    struct str procs;
    struct err ignored;
    uint64_t pid;

    if (cgroup_procs(d->cgroups, l->cgroup, space, PROCS_SIZE, &procs, &ignored) != 0)
        return false;
    while (procs.len > 0) {
        if (str_to_u64(str_cut(procs, '\n', &procs), &pid) && pid == wanted)
            return true;
    }
    return false;
}

static void kill_writer(const struct disk *d, const struct look *l)
{
    uint64_t pid = largest_writer(d, l);
    auto_fd int pidfd = pid == 0 ? -1 : pidfd_open((pid_t)pid, 0);

    /* asked again with the descriptor in hand: the number cannot have changed its meaning */
    if (pidfd >= 0 && is_listed(d, l, pid))
        ignore(pidfd_send_signal(pidfd, SIGKILL, NULL, 0));
}

static uint64_t unlinked_by(const struct disk *d, const struct look *l)
{
    auto_free char *space = mem_zero(PROCS_SIZE);
    struct str procs;
    struct err ignored;

    /* without cgroups nobody knows who is inside */
    if (cgroup_procs(d->cgroups, l->cgroup, space, PROCS_SIZE, &procs, &ignored) != 0)
        return 0;
    return unlinked_usage(d->proc_fd, procs);
}

static uint64_t measure(const struct disk *d, const struct look *l)
{
    char path[NAME_SIZE + 2];
    uint64_t named, unlinked;

    ignore(snprintf(path, sizeof(path), "%s/u", l->dir));
    named = disk_usage(d->files_fd, path);
    if (named == beyond_measure)
        return beyond_measure;
    unlinked = unlinked_by(d, l);
    return unlinked == UINT64_MAX ? beyond_measure : l->below + named + unlinked;
}

static void look_at(const struct disk *d, struct look *l)
{
    struct sandbox_stats stats;
    uint64_t begin = clock_mono_us();
    bool was_above = l->limit != 0 && l->bytes_before > l->limit;

    cgroup_stats(d->cgroups, l->cgroup, &stats);
    l->cpu_now = stats.cpu_us;
    l->has_changed = stats.cpu_us == 0 || stats.cpu_us != l->cpu_us || was_above;
    if (!l->has_changed)
        return;
    l->bytes = measure(d, l);
    l->took_us = clock_mono_us() - begin;
    if (l->limit == 0 || l->bytes <= l->limit) {
        l->strikes = 0;
        return;
    }
    if (was_above && l->bytes <= l->bytes_before && l->bytes != beyond_measure)
        return; /* above but not growing: the user may still delete */
    l->strikes++;
    kill_writer(d, l);
}

/* Takes the next one in turn and copies what is needed. False: it is not due. */
static bool look_begin(struct disk *d, struct look *l)
{
    struct list_node *n = list_pop(&d->watched);

    if (n == NULL)
        return false;
    list_push(&d->watched, n);

    struct disk_watch *w = container_of(n, struct disk_watch, node);

    if (w->not_before_us > clock_mono_us())
        return false;
    *l = (struct look){.limit = w->limit,
                       .below = w->below,
                       .cpu_us = w->cpu_us,
                       .bytes_before = atomic_load(&w->bytes),
                       .pid = w->pid,
                       .strikes = w->strikes};
    ignore(snprintf(l->dir, sizeof(l->dir), "%s", w->dir));
    ignore(snprintf(l->cgroup, sizeof(l->cgroup), "%s", w->cgroup));
    d->current = w;
    return true;
}

static void look_end(struct disk *d, const struct look *l)
{
    struct disk_watch *w = d->current;

    d->current = NULL;
    if (w == NULL || !l->has_changed)
        return;
    w->cpu_us = l->cpu_now;
    w->strikes = l->strikes;
    w->not_before_us = clock_mono_us() + l->took_us * SLOW_FACTOR;
    atomic_store(&w->bytes, l->bytes);
    if (l->strikes > STRIKES_MAX) {
        atomic_store(&w->has_ended_it, true);
        ignore(pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0)); /* ending already is fine */
    }
}

static void look_round(struct disk *d)
{
    size_t count = 0;

    for (struct list_node *n = list_first(&d->watched); n != NULL; n = list_next(&d->watched, n))
        count++;
    for (size_t i = 0; i < count && !d->is_closing; i++) {
        struct look l;

        if (!look_begin(d, &l))
            continue;
        pthread_mutex_unlock(&d->lock);
        look_at(d, &l);
        pthread_mutex_lock(&d->lock);
        look_end(d, &l);
    }
}

static void *watcher(void *ctx)
{
    struct disk *d = ctx;

    pthread_mutex_lock(&d->lock);
    while (!d->is_closing) {
        if (!thread_cond_wait(&d->closing, &d->lock, LOOK_PERIOD_MS))
            look_round(d);
    }
    pthread_mutex_unlock(&d->lock);
    return NULL;
}

int disk_init(struct disk *d, int files_fd, int proc_fd, const struct cgroups *g, struct err *err)
{
    *d = (struct disk){.files_fd = files_fd, .proc_fd = proc_fd, .cgroups = g};
    pthread_mutex_init(&d->lock, NULL);
    thread_cond_init(&d->closing);
    if (thread_start(&d->thread, watcher, d, err) != 0)
        return err_wrap(err, "disk watcher");
    d->has_thread = true;
    return 0;
}

void disk_done(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    d->is_closing = true;
    pthread_cond_signal(&d->closing);
    pthread_mutex_unlock(&d->lock);
    if (d->has_thread)
        pthread_join(d->thread, NULL);
    pthread_cond_destroy(&d->closing);
    pthread_mutex_destroy(&d->lock);
}

void disk_add(struct disk *d, struct disk_watch *w)
{
    pthread_mutex_lock(&d->lock);
    list_push(&d->watched, &w->node);
    pthread_mutex_unlock(&d->lock);
}

void disk_remove(struct disk *d, struct disk_watch *w)
{
    pthread_mutex_lock(&d->lock);
    list_remove(&w->node);
    if (d->current == w)
        d->current = NULL;
    pthread_mutex_unlock(&d->lock);
}

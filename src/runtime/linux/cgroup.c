/* SPDX-License-Identifier: Apache-2.0 */
/* One sandbox's groups in all hierarchies; which there are, cgroup_find.c knows. */
#include "runtime/linux/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>

#include "runtime/linux/cgroup_internal.h"
#include "runtime/linux/files.h"

enum {
    DESTROY_TRIES = 2000, /* with the pause below: two seconds */
    DESTROY_PAUSE_NS = 1000000,
    PROCS_SIZE = 256 << 10,
    KILL_ROUNDS = 100,
};

static const struct cgroup_files *const versions[] = {NULL, &cgroup_v1_files, &cgroup_v2_files};

const char *cgroup_path(char out[CGROUP_PATH_SIZE], const char *name, const char *file)
{
    ignore(snprintf(out, CGROUP_PATH_SIZE, "%s/%s", name, file));
    return out;
}

uint64_t cgroup_field(int dir, const char *path, const char *key)
{
    char space[CGROUP_TEXT_SIZE];
    struct str text;
    struct err ignored;
    uint64_t value = 0;

    if (file_read(dir, path, space, sizeof(space), &text, &ignored) == 0)
        ignore(text_field(text, key, &value));
    return value;
}

int cgroups_open(struct cgroups *g, const struct cgroup_source *source, const char *mode,
                 struct err *err)
{
    *g = (struct cgroups){.unified = -1, .is_fast = true};
    ignore(snprintf(g->parent, sizeof(g->parent), "%s", source->parent));
    for (size_t c = 0; c < CGROUP_CONTROLLERS; c++)
        g->place[c] = -1;
    if (strcmp(mode, "none") == 0)
        return 0;
    if (cgroups_find(g, source, mode, err) != 0) {
        cgroups_close(g);
        return err_wrap(err, "cgroup");
    }
    return 0;
}

void cgroups_close(struct cgroups *g)
{
    for (size_t i = 0; i < g->dir_count; i++) {
        ignore(unlinkat(g->dirs[i].above, g->parent, AT_REMOVEDIR)); /* sandboxes keep it */
        own_close_fd(&g->dirs[i].above);
        own_close_fd(&g->dirs[i].fd);
    }
    g->dir_count = 0;
}

int cgroup_version(const struct cgroups *g, enum cgroup_controller c)
{
    return g->place[c] < 0 ? 0 : g->dirs[g->place[c]].version;
}

static const struct cgroup_dir *dir_of(const struct cgroups *g, enum cgroup_controller c)
{
    return g->place[c] < 0 ? NULL : &g->dirs[g->place[c]];
}

int cgroup_create(const struct cgroups *g, const char *name, struct err *err)
{
    for (size_t i = 0; i < g->dir_count; i++) {
        if (mkdirat(g->dirs[i].fd, name, 0755) == 0)
            continue;
        ignore(err_sys(err, errno, "make cgroup %s", name));
        while (i-- > 0)
            ignore(unlinkat(g->dirs[i].fd, name, AT_REMOVEDIR)); /* just made, empty */
        return -1;
    }
    return 0;
}

int cgroup_limit(const struct cgroups *g, const char *name, const struct sandbox_limits *limits,
                 struct err *err)
{
    const struct cgroup_dir *memory = dir_of(g, CGROUP_MEMORY);
    const struct cgroup_dir *cpu = dir_of(g, CGROUP_CPU);
    const struct cgroup_dir *pids = dir_of(g, CGROUP_PIDS);
    char path[CGROUP_PATH_SIZE];

    if (memory != NULL && limits->memory_bytes != 0 &&
        versions[memory->version]->memory_limit(memory->fd, name, limits->memory_bytes, err) != 0)
        return -1;
    if (cpu != NULL && limits->cpu_percent != 0 &&
        versions[cpu->version]->cpu_limit(cpu->fd, name, limits->cpu_percent, err) != 0)
        return -1;
    if (pids != NULL && limits->pids_max != 0)
        return file_write_u64(pids->fd, cgroup_path(path, name, "pids.max"), limits->pids_max, err);
    return 0;
}

int cgroup_unified_open(const struct cgroups *g, const char *name, int *out_fd, struct err *err)
{
    if (g->unified < 0) {
        *out_fd = -1;
        return 0;
    }
    return dir_open(g->dirs[g->unified].fd, name, out_fd, err);
}

int cgroup_attach(const struct cgroups *g, const char *name, int pid, bool is_in_unified,
                  struct err *err)
{
    char path[CGROUP_PATH_SIZE];

    cgroup_path(path, name, "cgroup.procs");
    for (size_t i = 0; i < g->dir_count; i++) {
        if (is_in_unified && (int)i == g->unified)
            continue;
        if (file_write_u64(g->dirs[i].fd, path, (uint64_t)pid, err) != 0)
            return -1;
    }
    return 0;
}

/* Any hierarchy lists them all. */
int cgroup_procs(const struct cgroups *g, const char *name, char *space, size_t size,
                 struct str *out, struct err *err)
{
    char path[CGROUP_PATH_SIZE];

    if (g->dir_count == 0)
        return err_set(err, ERR_UNSUPPORTED, "no cgroups here");
    return file_read(g->dirs[0].fd, cgroup_path(path, name, "cgroup.procs"), space, size, out, err);
}

/* From the last one: who serves the others (pager.h) was there before them. */
static size_t kill_listed(struct str procs)
{
    size_t count = 0;
    uint64_t pid;

    while (procs.len > 0) {
        size_t from = procs.len - 1; /* its end, with or without a newline */
        struct str unused;

        while (from > 0 && procs.at[from - 1] != '\n')
            from--;
        if (str_to_u64(str_cut(str_from(procs, from), '\n', &unused), &pid) && pid > 1) {
            ignore(kill((pid_t)pid, SIGKILL)); /* gone already is fine */
            count++;
        }
        procs = str_upto(procs, from);
    }
    return count;
}

/* v1: no new processes, then each in turn until none is left. */
static void kill_one_by_one(const struct cgroups *g, const char *name)
{
    const struct cgroup_dir *pids = dir_of(g, CGROUP_PIDS);
    char path[CGROUP_PATH_SIZE];
    auto_free char *space = mem_zero(PROCS_SIZE);
    struct str procs;
    struct err ignored;

    if (pids != NULL)
        ignore(file_write_u64(pids->fd, cgroup_path(path, name, "pids.max"), 0, &ignored));
    for (size_t round = 0; round < KILL_ROUNDS; round++) {
        if (cgroup_procs(g, name, space, PROCS_SIZE, &procs, &ignored) != 0 ||
            kill_listed(procs) == 0)
            return;
    }
}

void cgroup_lift_cpu(const struct cgroups *g, const char *name)
{
    const struct cgroup_dir *cpu = dir_of(g, CGROUP_CPU);
    struct err unused;

    if (cpu != NULL)
        ignore(versions[cpu->version]->cpu_unlimit(cpu->fd, name, &unused)); /* slower, no more */
}

void cgroup_set_aside(const struct cgroups *g, const char *name, bool is_aside)
{
    const struct cgroup_dir *cpu = dir_of(g, CGROUP_CPU);
    char path[CGROUP_PATH_SIZE];
    struct err unused;

    if (cpu == NULL)
        return;
    cgroup_path(path, name, versions[cpu->version]->weight_file);
    ignore(file_write(cpu->fd, path, str_of(versions[cpu->version]->weights[is_aside]), &unused));
}

void cgroup_push_out(const struct cgroups *g, const char *name)
{
    const struct cgroup_dir *memory = dir_of(g, CGROUP_MEMORY);

    if (memory != NULL)
        versions[memory->version]->push_out(memory->fd, name);
}

void cgroup_let_die(const struct cgroups *g, const char *name)
{
    const struct cgroup_dir *pids = dir_of(g, CGROUP_PIDS);
    char path[CGROUP_PATH_SIZE];
    struct err unused;

    if (pids != NULL)
        ignore(file_write_u64(pids->fd, cgroup_path(path, name, "pids.max"), 0, &unused));
    cgroup_lift_cpu(g, name);
}

void cgroup_kill(const struct cgroups *g, const char *name)
{
    char path[CGROUP_PATH_SIZE];
    struct err ignored;

    if (g->has_kill && file_write(g->dirs[g->unified].fd, cgroup_path(path, name, "cgroup.kill"),
                                  STR("1"), &ignored) == 0)
        return;
    kill_one_by_one(g, name);
}

static int remove_one(int dir, const char *name, struct err *err)
{
    const struct timespec pause = {.tv_nsec = DESTROY_PAUSE_NS};

    for (size_t i = 0; i < DESTROY_TRIES; i++) {
        if (unlinkat(dir, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
            return 0;
        if (errno != EBUSY)
            break;
        nanosleep(&pause, NULL);
    }
    return err_sys(err, errno, "remove cgroup %s", name);
}

int cgroup_destroy(const struct cgroups *g, const char *name, struct err *err)
{
    int result = 0;

    for (size_t i = 0; i < g->dir_count; i++) {
        if (remove_one(g->dirs[i].fd, name, err) != 0)
            result = -1;
    }
    return result;
}

void cgroup_stats(const struct cgroups *g, const char *name, struct sandbox_stats *out)
{
    const struct cgroup_dir *memory = dir_of(g, CGROUP_MEMORY);
    const struct cgroup_dir *pids = dir_of(g, CGROUP_PIDS);
    const struct cgroup_dir *time =
        g->unified >= 0 ? &g->dirs[g->unified] : dir_of(g, CGROUP_CPUACCT);
    char path[CGROUP_PATH_SIZE];
    uint64_t count = 0;

    *out = (struct sandbox_stats){0};
    if (time != NULL)
        out->cpu_us = versions[time->version]->cpu_us(time->fd, name);
    if (memory != NULL)
        versions[memory->version]->memory_use(memory->fd, name, out);
    if (pids != NULL && file_number(pids->fd, cgroup_path(path, name, "pids.current"), &count))
        out->pids = (uint32_t)count;
}

uint64_t cgroup_oom_kills(const struct cgroups *g, const char *name)
{
    const struct cgroup_dir *memory = dir_of(g, CGROUP_MEMORY);

    return memory == NULL ? 0 : versions[memory->version]->oom_kills(memory->fd, name);
}

static void each_in(int dir, const char *prefix, void (*fn)(void *ctx, const char *name), void *ctx)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *e;

    if (entries == NULL) {
        own_close_fd(&fd);
        return;
    }
    while ((e = readdir(entries)) != NULL) {
        if (e->d_type == DT_DIR && str_has_prefix(str_of(e->d_name), prefix))
            fn(ctx, e->d_name);
    }
    closedir(entries);
}

void cgroup_each(const struct cgroups *g, const char *prefix,
                 void (*fn)(void *ctx, const char *name), void *ctx)
{
    for (size_t i = 0; i < g->dir_count; i++)
        each_in(g->dirs[i].fd, prefix, fn, ctx);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See runtime_remains.h. */
#include "runtime_remains.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime_fixture.h"
#include "test.h"

enum {
    SETTLE_MS = 10000,
    SHORT_MS = 200,
    PATH_SIZE = 512,
    MOUNTINFO_SIZE = 256 << 10,
    HIERARCHY_DEPTH = 6,
};

struct remains {
    size_t fds, children, mounts, groups, files, states;
};

static struct remains baseline;

static size_t count_entries(const char *path)
{
    DIR *dir = opendir(path);
    size_t count = 0;

    while (dir != NULL && readdir(dir) != NULL)
        count++;
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* Descriptors, but for the namespaces that are kept: of users, by ranges of ids that were used
 * once; of the last ones that were stopped (recent.h). */
static size_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *e;
    size_t count = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        char target[PATH_SIZE] = "";

        if (readlinkat(dirfd(dir), e->d_name, target, sizeof(target) - 1) > 0)
            count += strncmp(target, "user:[", 6) != 0 && strncmp(target, "uts:[", 5) != 0 &&
                     strncmp(target, "pid:[", 5) != 0;
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

/* Those that fn says true to. */
static size_t count_children(pid_t of, bool (*fn)(pid_t child))
{
    char path[PATH_SIZE], text[PATH_SIZE];
    size_t count = 0;
    DIR *tasks;
    struct dirent *e;

    snprintf(path, sizeof(path), "/proc/%d/task", (int)of);
    tasks = opendir(path);
    while (tasks != NULL && (e = readdir(tasks)) != NULL) {
        FILE *f;

        snprintf(path, sizeof(path), "/proc/%d/task/%.20s/children", (int)of, e->d_name);
        f = fopen(path, "r");
        while (f != NULL && fscanf(f, "%511s", text) == 1)
            count += fn((pid_t)strtol(text, NULL, 10));
        if (f != NULL)
            fclose(f);
    }
    if (tasks != NULL)
        closedir(tasks);
    return count;
}

static bool has_seen_pager;

/* Who brings memory outlives those who started it. It becomes ours, who may be nobody's init: serve
 * collects it, and so do we. */
static bool is_pager(pid_t pid)
{
    char path[PATH_SIZE], name[PATH_SIZE] = "", state = 0;
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    if (f == NULL)
        return false;
    if (fscanf(f, "%*d (%511[^)]) %c", name, &state) != 2)
        name[0] = '\0';
    fclose(f);
    if (strcmp(name, "criu") != 0)
        return false;
    has_seen_pager = true;
    if (state == 'Z')
        ignore(waitpid(pid, NULL, WNOHANG));
    return state != 'Z';
}

size_t remains_pagers(void)
{
    return count_children(getpid(), is_pager);
}

bool remains_had_pager(void)
{
    return has_seen_pager;
}

static bool end_process(pid_t pid)
{
    return kill(pid, SIGKILL) == 0;
}

static bool end_worker(pid_t pid)
{
    return is_pager(pid) && count_children(pid, end_process) > 0;
}

bool remains_kill_pager(void)
{
    return count_children(getpid(), end_worker) > 0;
}

static bool is_there(pid_t pid)
{
    (void)pid;
    return true;
}

size_t remains_children(void)
{
    ignore(remains_pagers());
    return count_children(getpid(), is_there);
}

size_t remains_kill_children(void)
{
    return count_children(getpid(), end_process);
}

/* Mounts that have to do with us, as the whole host sees them. */
static size_t count_mounts(void)
{
    static char line[MOUNTINFO_SIZE];
    FILE *f = fopen("/proc/self/mountinfo", "r");
    size_t count = 0;

    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        count += strstr(line, rig.dir) != NULL;
    if (f != NULL)
        fclose(f);
    return count;
}

/* Groups and their parents are named after the run directory, whatever the hierarchy. */
static char group_prefix[RIG_DIR_SIZE];

static size_t count_groups_in(const char *path, unsigned depth)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    size_t count = 0;

    while (dir != NULL && (e = readdir(dir)) != NULL) {
        char below[PATH_SIZE];

        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        count += group_prefix[0] != '\0' && strstr(e->d_name, group_prefix) != NULL;
        if (depth > 0 &&
            snprintf(below, sizeof(below), "%s/%s", path, e->d_name) < (int)sizeof(below))
            count += count_groups_in(below, depth - 1);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

size_t remains_groups(void)
{
    return count_groups_in("/sys/fs/cgroup", HIERARCHY_DEPTH);
}

static struct remains remains_now(void)
{
    char files[PATH_SIZE], states[PATH_SIZE];

    snprintf(files, sizeof(files), "%s/sandboxes", rig.dir);
    snprintf(states, sizeof(states), "%s/sandboxes", rig.config.run_dir);
    return (struct remains){count_fds(),      remains_children(),   count_mounts(),
                            remains_groups(), count_entries(files), count_entries(states)};
}

/* The pool's descriptors and groups come and go in the background: full it is the same again. */
static bool is_clean(void)
{
    struct remains now = remains_now();

    return memcmp(&now, &baseline, sizeof(now)) == 0;
}

/* What a failed case left is no reason for the next one to fail. */
static void stop_one(void *ctx, const char *id, enum runtime_state state)
{
    (void)ctx;
    (void)state;
    rig_begin_stop(id);
}

void check_clean(const char *after)
{
    struct remains now;

    runtime_each(rig.runtime, stop_one, NULL);
    /* what is launched ahead belongs to the quiet state, and begins with the first start */
    if (rig.config.warm_size > 0 && rig_ahead() == 0) {
        CHECK(rig_start("primer") == ERR_NONE);
        CHECK(rig_stop("primer") == ERR_NONE);
    }
    if (rig_until(is_clean, SETTLE_MS))
        return;
    now = remains_now();
    test_note("after %s (now/before): fds %zu/%zu children %zu/%zu mounts %zu/%zu groups %zu/%zu "
              "files %zu/%zu states %zu/%zu",
              after, now.fds, baseline.fds, now.children, baseline.children, now.mounts,
              baseline.mounts, now.groups, baseline.groups, now.files, baseline.files, now.states,
              baseline.states);
    CHECK(is_clean());
}

/* Groups in the state file are "<prefix>-<run>-<number>". */
void learn_prefix(const char *id)
{
    char path[PATH_SIZE], line[PATH_SIZE];
    FILE *f;

    snprintf(path, sizeof(path), "%s/sandboxes/%s", rig.config.run_dir, id);
    f = fopen(path, "r");
    CHECK(f != NULL);
    while (fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "cgroup %40[^-]", group_prefix) == 1)
            break;
    }
    fclose(f);
    CHECK(group_prefix[0] != '\0');
}

/* Quiet for a while: the pool is full. */
void remember_remains(void)
{
    struct remains before;
    size_t never = 0;

    do {
        before = remains_now();
        ignore(rig_pump(&never, 1, SHORT_MS));
        baseline = remains_now();
    } while (memcmp(&before, &baseline, sizeof(before)) != 0);
    test_note("baseline: %zu fds, %zu groups", baseline.fds, baseline.groups);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See pager.h. Images and programs are judged by restore.c, open.c and doctor; the rest runs on
 * savers, for criu.c and pause.c. */
#include "runtime/linux/pager.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "runtime/linux/files.h"

enum {
    PATH_SIZE = 1400,
    PATCHES_MAX = 1024,
    SHARED_PART = 8, /* so much more memory than before it may take in the end */
    START_TIMEOUT_MS = 10000,
    WAIT_MS = 120000,
};

bool pager_is_possible(const char *criu)
{
    auto_fd int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
    char path[PATH_SIZE], space[PATCHES_MAX];
    struct err unused;
    struct str text;

    ignore(snprintf(path, sizeof(path), "%s.patches", criu));
    return device >= 0 && file_read(AT_FDCWD, path, space, sizeof(space), &text, &unused) == 0 &&
           strstr(space, " criu-lazy.patch ") != NULL;
}

bool pager_pays(int images, uint64_t bytes_min, uint64_t limit_bytes)
{
    uint64_t all = 0, largest = 0;
    struct names names = {0};
    struct err unused;
    struct stat st;

    if (names_read(images, &names, &unused) != 0)
        return false;
    for (size_t i = 0; i < names.count; i++) {
        uint64_t bytes;

        /* one file for each process, shared memory among them */
        if (!str_has_prefix(str_of(names.at[i]), "pages-") ||
            fstatat(images, names.at[i], &st, 0) != 0)
            continue;
        bytes = (uint64_t)st.st_size;
        all += bytes;
        if (bytes > largest)
            largest = bytes;
    }
    names_done(&names);
    return bytes_min == 1 || (all >= bytes_min && all - largest <= largest / SHARED_PART &&
                              (limit_bytes == 0 || all <= limit_bytes / 2));
}

/* The list of the group's processes: it is locked as long as memory is to come, and the pager reads
 * there whom to end. */
static int open_list(const struct cgroups *g, const char *group, int *out_fd, struct err *err)
{
    auto_fd int dir = -1;

    if (cgroup_freezer_open(g, group, &dir, err) != 0)
        return -1;
    *out_fd = openat(dir, "cgroup.procs", O_RDONLY | O_CLOEXEC);
    return *out_fd >= 0 ? 0 : err_sys(err, errno, "open the list of processes");
}

int pager_start(const struct pager *p, struct tool_run *out, struct err *err)
{
    const char *const argv[] = {p->path, "lazy-pages", "-D",        p->images, "-d",
                                "-v1",   "-o",         "pager.log", NULL};
    auto_fd int list = -1;
    struct tool t = {.argv = argv, .cgroups = p->cgroups, .group = p->group};

    if (open_list(p->cgroups, p->group, &list, err) != 0)
        return -1;
    if (flock(list, LOCK_EX | LOCK_NB) != 0)
        return err_sys(err, errno, "lock the list of processes");
    t.held_fd = list;
    return tool_start(&t, out, err);
}

int pager_settle(struct tool_run *run, struct err *err)
{
    return tool_wait(run, START_TIMEOUT_MS, err) == 0 ? 0 : err_wrap(err, "bring memory later");
}

int pager_wait(const struct cgroups *g, const char *group, struct err *err)
{
    auto_fd int list = -1;

    if (g->dir_count == 0)
        return 0;
    if (open_list(g, group, &list, err) != 0)
        return -1;
    if (file_lock(list, LOCK_SH, WAIT_MS))
        return 0;
    return err_set(err, ERR_TIMEOUT, "its memory is still being read: try again");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See idmap.h. Namespaces are made by the pool filler (slots.c), clones by overlay.c, devtree.c. */
#include "runtime/linux/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "runtime/linux/enter.h"
#include "runtime/linux/files.h"
#include "runtime/linux/raw.h"

enum {
    IDLE_STACK_SIZE = 16 << 10,
    NAME_SIZE = 64,
};

struct tree_look {
    uint64_t attributes;
    int userns_fd;
};

int idmap_write(int proc_dir, int pid, uint32_t base, struct err *err)
{
    char name[NAME_SIZE], map[NAME_SIZE];
    int len = snprintf(map, sizeof(map), "0 %u %d", base, IDS_PER_SANDBOX);
    struct str text = {map, (size_t)len};

    ignore(snprintf(name, sizeof(name), "%d/uid_map", pid));
    if (file_write(proc_dir, name, text, err) != 0)
        return -1;
    ignore(snprintf(name, sizeof(name), "%d/gid_map", pid));
    return file_write(proc_dir, name, text, err);
}

static int map_and_open(int pid, uint32_t base, int *out_fd, struct err *err)
{
    char name[NAME_SIZE];
    auto_fd int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (proc < 0)
        return err_sys(err, errno, "open /proc");
    if (idmap_write(proc, pid, base, err) != 0)
        return -1;
    ignore(snprintf(name, sizeof(name), "%d/ns/user", pid));
    *out_fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
    if (*out_fd < 0)
        return err_sys(err, errno, "open the user namespace");
    return 0;
}

int userns_open(uint32_t base, int *out_fd, struct err *err)
{
    auto_fd int pidfd = -1;
    void *stack =
        mmap(NULL, IDLE_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_FILES | CLONE_PIDFD | CLONE_NEWUSER,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = IDLE_STACK_SIZE,
    };

    if (stack == MAP_FAILED)
        return err_sys(err, errno, "stack");

    long pid = raw_clone3(&args, enter_idle, NULL);
    int result = 0;

    if (pid < 0)
        result = err_sys(err, (int)-pid, "clone a user namespace");
    if (pid > 0) {
        siginfo_t gone;

        result = map_and_open((int)pid, base, out_fd, err);
        ignore(pidfd_send_signal(pidfd, SIGKILL, NULL, 0)); /* it can only be gone already */
        while (waitid(P_PIDFD, (id_t)pidfd, &gone, WEXITED | __WALL) != 0 && errno == EINTR) {
            /* it is killed: the wait ends */
        }
    }
    ignore(munmap(stack, IDLE_STACK_SIZE));
    return result;
}

static int clone_with(const char *path, unsigned flags, const struct tree_look *look, int *out_fd,
                      struct err *err)
{
    auto_fd int tree = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
    uint64_t attributes = look->attributes;
    int userns_fd = look->userns_fd;
    struct mount_attr attr = {.attr_set = attributes};

    if (tree < 0)
        return err_sys(err, errno, "open_tree %s", path);
    if (userns_fd >= 0) {
        attr.attr_set |= MOUNT_ATTR_IDMAP;
        attr.userns_fd = (uint64_t)userns_fd;
    }
    if (attr.attr_set != 0 && mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) != 0)
        return err_sys(err, errno, "%s %s", userns_fd >= 0 ? "map ids of" : "set attributes of",
                       path);
    *out_fd = take_fd(&tree);
    return 0;
}

int tree_clone(const char *path, uint64_t attributes, int userns_fd, int *out_fd, struct err *err)
{
    return clone_with(path, 0, &(struct tree_look){attributes, userns_fd}, out_fd, err);
}

int tree_clone_all(const char *path, uint64_t attributes, int userns_fd, int *out_fd,
                   struct err *err)
{
    return clone_with(path, AT_RECURSIVE, &(struct tree_look){attributes, userns_fd}, out_fd, err);
}

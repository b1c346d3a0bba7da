/* SPDX-License-Identifier: Apache-2.0 */
/* See devtree.h. */
#include "runtime/linux/devtree.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "runtime/linux/files.h"
#include "runtime/linux/idmap.h"

struct node_row {
    const char *name;
    unsigned major, minor;
};

static const struct node_row nodes[] = {
    {"null",    1, 3},
    {"zero",    1, 5},
    {"full",    1, 7},
    {"random",  1, 8},
    {"urandom", 1, 9},
    {"tty",     5, 0},
};

struct link_row {
    const char *name, *target;
};

static const struct link_row links[] = {
    {"ptmx",   "pts/ptmx"       },
    {"fd",     "/proc/self/fd"  },
    {"stdin",  "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};

const char devtree_guest[] = "envd";

static const char *const dirs[] = {"pts", "shm", "mqueue"};

static int fill(int dir, struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(nodes); i++) {
        const struct node_row *n = &nodes[i];

        if (mknodat(dir, n->name, S_IFCHR | 0666, makedev(n->major, n->minor)) != 0 ||
            fchmodat(dir, n->name, 0666, 0) != 0)
            return err_sys(err, errno, "make /dev/%s", n->name);
    }
    for (size_t i = 0; i < COUNT_OF(links); i++) {
        if (symlinkat(links[i].target, dir, links[i].name) != 0)
            return err_sys(err, errno, "make /dev/%s", links[i].name);
    }
    for (size_t i = 0; i < COUNT_OF(dirs); i++) {
        if (mkdirat(dir, dirs[i], 0755) != 0)
            return err_sys(err, errno, "make /dev/%s", dirs[i]);
    }
    return 0;
}

int devtree_make(const char *path, struct err *err)
{
    if (mount("sandlot-dev", path, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0755,size=64k") != 0)
        return err_sys(err, errno, "mount %s", path);

    auto_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dir < 0)
        return err_sys(err, errno, "open %s", path);
    return fill(dir, err);
}

int devtree_add_guest(const char *path, const char *envd, bool is_mounted, struct err *err)
{
    const uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    auto_fd int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    auto_fd int tree = -1;
    auto_fd int place = -1;

    if (dir < 0)
        return err_sys(err, errno, "open %s", path);
    /* of a file system of its own: no path of the host shows inside */
    if (mount("sandlot-guest", "guest", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=8m") != 0)
        return err_sys(err, errno, "mount the guest's files");
    if (file_copy(envd, "guest/envd", 0755, err) != 0 ||
        tree_clone("guest/envd", attributes, -1, &tree, err) != 0)
        return -1;
    place = openat(dir, devtree_guest, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (place < 0 ||
        (is_mounted && move_mount(tree, "", dir, devtree_guest, MOVE_MOUNT_F_EMPTY_PATH) != 0))
        return err_sys(err, errno, "mount %s/%s", path, devtree_guest);
    return 0;
}

int devtree_clone(const char *path, int userns_fd, int *out_fd, struct err *err)
{
    const uint64_t attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    struct err unmapped;

    /* tmpfs can be mapped since 6.3; before, the nodes belong to nobody and have mode 0666 */
    if (userns_fd >= 0 && tree_clone_all(path, attributes, userns_fd, out_fd, &unmapped) == 0)
        return 0;
    return tree_clone_all(path, attributes, -1, out_fd, err);
}

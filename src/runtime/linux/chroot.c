/* SPDX-License-Identifier: Apache-2.0 */
/* See chroot.h. */
#include "runtime/linux/chroot.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Kernels before 5.8 do not say; there the launch will tell what is wrong. */
static bool is_chrooted(void)
{
    struct statx st;

    return statx(AT_FDCWD, "/", 0, 0, &st) == 0 &&
           (st.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0 &&
           (st.stx_attributes & STATX_ATTR_MOUNT_ROOT) == 0;
}

/* `root` becomes a mount on itself, then the namespace's root. */
static int pivot_to(int root, struct err *err)
{
    auto_fd int tree =
        open_tree(root, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_RECURSIVE);

    if (tree < 0)
        return err_sys(err, errno, "clone the root directory");
    if (move_mount(tree, "", root, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0)
        return err_sys(err, errno, "mount the root directory");
    if (fchdir(tree) != 0 || syscall(SYS_pivot_root, ".", ".") != 0)
        return err_sys(err, errno, "pivot_root");
    if (umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
        return err_sys(err, errno, "leave the old root");
    return 0;
}

int chroot_become_root(struct err *err)
{
    auto_fd int root = -1;
    auto_fd int ns = -1;

    if (!is_chrooted())
        return 0;
    if (unshare(CLONE_NEWNS) != 0)
        return err_sys(err, errno, "unshare the mount namespace");
    root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    ns = open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (root < 0 || ns < 0)
        return err_sys(err, errno, "open the root directory");
    /* Joining a mount namespace, also one's own, starts at its real root. */
    if (setns(ns, CLONE_NEWNS) != 0)
        return err_sys(err, errno, "leave the chroot");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return err_sys(err, errno, "make mounts private");
    return pivot_to(root, err);
}

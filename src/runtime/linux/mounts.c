/* SPDX-License-Identifier: Apache-2.0 */
/* See mounts.h. */
#include "runtime/linux/mounts.h"

#include <errno.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "runtime/linux/devtree.h"
#include "runtime/linux/files.h"
#include "runtime/linux/mountinfo.h"

enum {
    POINTS_MAX = 4096, /* mounts we care to drop; more only costs time */
};

/* File systems that hold neither templates nor sandboxes. Other containers' overlays are the ones
 * that add up on a busy host. */
static const char *const droppable[] = {
    "autofs", "binfmt_misc", "bpf",        "cgroup",    "cgroup2",  "configfs", "debugfs",
    "devpts", "efivarfs",    "fusectl",    "hugetlbfs", "mqueue",   "nsfs",     "overlay",
    "pstore", "ramfs",       "securityfs", "selinuxfs", "squashfs", "tracefs",
};

const char mounts_empty[] = "none";

static const char *const stage_dirs[] = {"dev",        "root", "upper", "cgroup",
                                         mounts_empty, "sys",  "guest", "boot"};

static bool is_droppable(const struct mountinfo *m)
{
    if (str_is(m->point, "/"))
        return false;
    for (size_t i = 0; i < COUNT_OF(droppable); i++) {
        if (str_is(m->type, droppable[i]))
            return true;
    }
    return false;
}

/* Is there a mount to keep below this one? Then it must stay. */
static bool is_needed(const struct mountinfo *all, size_t count, const struct mountinfo *one)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_droppable(&all[i]) && path_is_below(all[i].point.at, one->point))
            return true;
    }
    return false;
}

/* What is droppable goes, unless something to keep is below it. */
static int drop_mounts(const char *stage, const char *data_dir, struct err *err)
{
    auto_free char *text = NULL;
    auto_free struct mountinfo *all = mem_array(POINTS_MAX, sizeof(*all));
    size_t len, count = 0;
    char *at;

    if (file_load("/proc/thread-self/mountinfo", MOUNTINFO_MAX, &text, &len, err) != 0)
        return -1;
    at = text;
    while (count < POINTS_MAX && mountinfo_next(&at, &all[count]))
        count++;
    for (size_t i = 0; i < count; i++) {
        struct str point = all[i].point;

        if (is_droppable(&all[i]) && !path_is_below(stage, point) &&
            !path_is_below(data_dir, point) && !is_needed(all, count, &all[i]))
            ignore(umount2(point.at, MNT_DETACH)); /* staying costs microseconds, no more */
    }
    return 0;
}

int mounts_private(const char *stage, const char *data_dir, struct err *err)
{
    if (unshare(CLONE_NEWNS) != 0)
        return err_sys(err, errno, "unshare the mount namespace");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return err_sys(err, errno, "make mounts private");
    if (data_dir != NULL && drop_mounts(stage, data_dir, err) != 0)
        return -1;
    if (mount("sandlot", stage, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0700,size=64k") != 0)
        return err_sys(err, errno, "mount %s", stage);
    /* unshare() gave the thread a working directory of its own, too */
    if (chdir(stage) != 0)
        return err_sys(err, errno, "chdir %s", stage);
    for (size_t i = 0; i < COUNT_OF(stage_dirs); i++) {
        if (mkdir(stage_dirs[i], 0755) != 0)
            return err_sys(err, errno, "mkdir %s/%s", stage, stage_dirs[i]);
    }
    if (devtree_make("dev", err) != 0)
        return -1;
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0)
        return err_sys(err, errno, "keep capabilities");
    return 0;
}

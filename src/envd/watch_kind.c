/* SPDX-License-Identifier: Apache-2.0 */
/* The tables behind watch_kind.h. */
#include "envd/watch_kind.h"

#include <linux/magic.h>
#include <sys/inotify.h>

#include "base/own.h"

/* In the order in which the kinds of one event are told. */
static const struct {
    enum watch_kind kind;
    uint32_t mask;
    bool has_entry, merges;
} kinds[WATCH_KINDS_MAX] = {
    {WATCH_CREATE, IN_CREATE | IN_MOVED_TO,      true,  false},
    {WATCH_RENAME, IN_MOVED_FROM | IN_MOVE_SELF, false, false},
    {WATCH_CHMOD,  IN_ATTRIB,                    true,  true },
    {WATCH_WRITE,  IN_MODIFY,                    true,  true },
    {WATCH_REMOVE, IN_DELETE | IN_DELETE_SELF,   false, false},
};

static const struct {
    uint32_t type;
    enum mount_kind kind;
} mounts[] = {
    {NFS_SUPER_MAGIC,     MOUNT_NETWORK},
    {SMB_SUPER_MAGIC,     MOUNT_NETWORK},
    {SMB2_SUPER_MAGIC,    MOUNT_NETWORK},
    {CIFS_SUPER_MAGIC,    MOUNT_NETWORK},
    {FUSE_SUPER_MAGIC,    MOUNT_NETWORK},
    {PROC_SUPER_MAGIC,    MOUNT_PSEUDO },
    {SYSFS_MAGIC,         MOUNT_PSEUDO },
    {CGROUP_SUPER_MAGIC,  MOUNT_PSEUDO },
    {CGROUP2_SUPER_MAGIC, MOUNT_PSEUDO },
};

uint32_t watch_mask(void)
{
    uint32_t mask = 0;

    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        mask |= kinds[i].mask;
    return mask;
}

size_t watch_kinds(uint32_t mask, enum watch_kind out[WATCH_KINDS_MAX])
{
    size_t count = 0;

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if ((mask & kinds[i].mask) != 0)
            out[count++] = kinds[i].kind;
    }
    return count;
}

bool watch_kind_has_entry(enum watch_kind kind)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].kind == kind)
            return kinds[i].has_entry;
    }
    return false;
}

bool watch_kind_merges(enum watch_kind kind)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (kinds[i].kind == kind)
            return kinds[i].merges;
    }
    return false;
}

enum mount_kind mount_kind(uint64_t type)
{
    for (size_t i = 0; i < COUNT_OF(mounts); i++) {
        if (mounts[i].type == (uint32_t)type)
            return mounts[i].kind;
    }
    return MOUNT_TELLS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What an event of the kernel means to a client, and which file systems tell of changes at all
 * (wire.md 3.8). Pure tables. */
#ifndef ENVD_WATCH_KIND_H
#define ENVD_WATCH_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum watch_kind { /* the numbers of filesystem.EventType */
                  WATCH_CREATE = 1,
                  WATCH_WRITE = 2,
                  WATCH_REMOVE = 3,
                  WATCH_RENAME = 4,
                  WATCH_CHMOD = 5,
};

enum { WATCH_KINDS_MAX = 5 };

/* What inotify is asked for. */
uint32_t watch_mask(void);
/* The kinds that one mask of inotify stands for, in the order they are told. */
size_t watch_kinds(uint32_t mask, enum watch_kind out[WATCH_KINDS_MAX]);
/* May a message of this kind carry the entry? Where a file went away or changed its name there is
 * nothing to look at, or something else by now. */
bool watch_kind_has_entry(enum watch_kind kind);
/* Two of this kind about one name in a row say no more than one. */
bool watch_kind_merges(enum watch_kind kind);

enum mount_kind {
    MOUNT_TELLS,   /* changes are told by inotify */
    MOUNT_NETWORK, /* others change it without our kernel knowing: NFS, SMB, FUSE */
    MOUNT_PSEUDO,  /* made up by the kernel, nothing is told: proc, sysfs */
};

/* Of the f_type of statfs(2). */
enum mount_kind mount_kind(uint64_t type);

#endif

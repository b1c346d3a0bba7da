/* SPDX-License-Identifier: Apache-2.0 */
/* User namespaces as id maps, and detached clones of trees seen through them: what is uid 0 on disk
 * is uid `base` of the host, so layers keep canonical ids and each sandbox has a range of its own.
 */
#ifndef RUNTIME_LINUX_IDMAP_H
#define RUNTIME_LINUX_IDMAP_H

#include <stdint.h>

#include "base/err.h"

enum { IDS_PER_SANDBOX = 65536 };

/* A user namespace that maps 0..65535 to base..base+65535. Starts no process that outlives it. */
must_check int userns_open(uint32_t base, int *out_fd, struct err *err);

/* A detached clone of the tree at `path` (AT_FDCWD), with mount attributes MOUNT_ATTR_*, mapped
 * through userns_fd unless that is -1. */
must_check int tree_clone(const char *path, uint64_t attributes, int userns_fd, int *out_fd,
                          struct err *err);

/* The same with what is mounted below it, which keeps its own attributes. */
must_check int tree_clone_all(const char *path, uint64_t attributes, int userns_fd, int *out_fd,
                              struct err *err);

/* "0 base 65536" into the maps of process `pid`. */
must_check int idmap_write(int proc_dir, int pid, uint32_t base, struct err *err);

#endif

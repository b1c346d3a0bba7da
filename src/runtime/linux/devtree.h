/* SPDX-License-Identifier: Apache-2.0 */
/* /dev of all sandboxes: nodes can only be made by the host, so one small tree is made per creator
 * and cloned, read-only, into each sandbox (device nodes stay writable on a read-only mount). */
#ifndef RUNTIME_LINUX_DEVTREE_H
#define RUNTIME_LINUX_DEVTREE_H

#include <stdbool.h>

#include "base/err.h"

/* Mounts and fills the tree at `path`. */
must_check int devtree_make(const char *path, struct err *err);
/* The name in it that the guest daemon is mounted at, so that it has one in each sandbox: a
 * checkpoint finds the files of processes by their paths. */
extern const char devtree_guest[];
/* A copy of it goes to "guest/envd" of the stage first. */
/* Not mounted: only its place is made. */
must_check int devtree_add_guest(const char *path, const char *envd, bool is_mounted,
                                 struct err *err);
/* A detached clone for one sandbox; userns_fd -1: not mapped. */
must_check int devtree_clone(const char *path, int userns_fd, int *out_fd, struct err *err);

#endif

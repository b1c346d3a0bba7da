/* SPDX-License-Identifier: Apache-2.0 */
/* The private mount namespace of a creator thread: small, because every clone copies it, and with a
 * stage, a tmpfs that holds the directories and the device tree that launches need. */
#ifndef RUNTIME_LINUX_MOUNTS_H
#define RUNTIME_LINUX_MOUNTS_H

#include "base/err.h"

/* Below the stage: dev (the device tree); empty, to attach to: root, upper, cgroup, sys, guest;
 * none, which stays empty. */

extern const char mounts_empty[]; /* that one */

/* Gives the calling thread a mount namespace of its own with the stage mounted at `stage` (an
 * existing directory; data_dir stays visible; NULL: all mounts do, for tools that look at them),
 * and lets it change its file-system ids without losing capabilities. The thread's working
 * directory is the stage from then on, and it can never go back. */
must_check int mounts_private(const char *stage, const char *data_dir, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A boot_id of a sandbox's own, in place of the host's in /proc/sys/kernel/random. It is a file on
 * a tmpfs of its own, so nothing of the host shows in the sandbox's list of mounts, and the file
 * is there as long as it is mounted anywhere: CRIU cannot save a mount of one that was removed. */
#ifndef RUNTIME_LINUX_BOOT_ID_H
#define RUNTIME_LINUX_BOOT_ID_H

#include "base/err.h"

enum { BOOT_ID_SIZE = 37 };

/* Where a stage has it attached (mounts.h), the file in it, and where a sandbox has that. */
extern const char boot_id_place[], boot_id_file[], boot_id_target[];

/* A detached mount of a directory with the file. */
must_check int boot_id_make(const char id[BOOT_ID_SIZE], int *out_fd, struct err *err);

#endif

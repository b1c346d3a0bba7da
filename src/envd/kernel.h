/* SPDX-License-Identifier: Apache-2.0 */
/* Small files of the kernel: /proc, and the sandbox's own cgroup, which the runtime mounts
 * read-only on /sys/fs/cgroup: cgroup2 where that has the memory controller, else the memory
 * controller of v1 (runtime/linux/enter.h). Where there is neither, every number of it is absent.
 */
#ifndef ENVD_KERNEL_H
#define ENVD_KERNEL_H

#include "base/str.h"

enum {
    KERNEL_TEXT_MAX = 4096 /* bytes read of one file: what is wanted stands before */
};

/* The start of a file, in `out`; empty when it cannot be read. */
struct str kernel_text(const char *path, char out[KERNEL_TEXT_MAX]);
/* The number behind `label` at the start of a line ("MemTotal:", "oom_kill "), blanks skipped. */
bool kernel_labelled(struct str text, const char *label, uint64_t *out);
/* A file that is one number. False for "max", too. */
bool kernel_number(const char *path, uint64_t *out);

/* How many processes of the sandbox the kernel killed for lack of memory since it began. False:
 * nobody counts. */
bool kernel_oom_kills(uint64_t *out);

#endif

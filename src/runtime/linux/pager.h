/* SPDX-License-Identifier: Apache-2.0 */
/* The process that brings the memory of a restored sandbox while that runs already: page by page
 * where it is touched (userfaultfd), all the rest in order. It is CRIU's, in the sandbox's group,
 * and needs nobody: neither the node that started it nor the images' names. Should it end before it
 * is done, it takes the sandbox with it (tools/patches/criu-lazy.patch): memory that nobody brings
 * would read as zeros. */
#ifndef RUNTIME_LINUX_PAGER_H
#define RUNTIME_LINUX_PAGER_H

#include <stdint.h>

#include "base/err.h"
#include "runtime/linux/cgroup.h"
#include "runtime/linux/tool.h"

/* With this program on this kernel? `criu` must have our patch; the kernel has the device since
 * 6.1. */
bool pager_is_possible(const char *criu);
/* Is there so much memory in a directory of images that to wait for it is not worth it? Not where
 * processes may share much of it since they forked, for each would have its own afterwards; nor
 * where a process that forks meanwhile would not have room for another one within limit_bytes (0:
 * no limit). With 1 always. */
bool pager_pays(int images, uint64_t bytes_min, uint64_t limit_bytes);

struct pager {
    const char *path;   /* of the program */
    const char *images; /* where it and the restore meet */
    const struct cgroups *cgroups;
    const char *group;
};

/* Starts one; a restore with --lazy-pages from these images, in the same group, finds it. */
must_check int pager_start(const struct pager *p, struct tool_run *out, struct err *err);
/* Until it is there for that restore, which may run already. From then on it needs nobody, and ends
 * by itself, or with the group. -1: that restore will fail, in ten seconds. */
must_check int pager_settle(struct tool_run *run, struct err *err);
/* Until all memory is there, if some is to come. ERR_TIMEOUT after two minutes. Whoever wants to
 * save the group's processes waits for that. */
must_check int pager_wait(const struct cgroups *g, const char *group, struct err *err);

#endif

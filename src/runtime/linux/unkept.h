/* SPDX-License-Identifier: Apache-2.0 */
/* What no checkpoint can keep, by name: CRIU's own words are about its innards. Used by pause.c. */
#ifndef RUNTIME_LINUX_UNKEPT_H
#define RUNTIME_LINUX_UNKEPT_H

#include "runtime/linux/cgroup.h"

/* The first such process of the group: "process 12 (gdb) is traced", with its number inside. False:
 * there is none that we know of. `first_pid` is in its own user namespace. */
bool unkept_find(const struct cgroups *g, const char *group, int proc_dir, int first_pid,
                 struct err *out);

#endif

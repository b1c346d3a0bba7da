/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel numbers namespaces with the lowest number that is free, so one that begins right after
 * another ended would have its numbers, and pass for it with whoever tells sandboxes apart by them
 * (audit logs, tracers, the reuse detector of benchmarks). Those of the last ones that were
 * stopped are therefore kept: names of host (uts) and processes (pid), which hold neither mounts
 * nor memory worth mentioning (3 KB both). On the loop. */
#ifndef RUNTIME_LINUX_RECENT_H
#define RUNTIME_LINUX_RECENT_H

#include <stddef.h>

enum {
    RECENT_KEPT = 128, /* sandboxes; a burst of the benchmarks is 100 */
    RECENT_NAMESPACES = 2,
};

struct recent {
    int fds[RECENT_KEPT][RECENT_NAMESPACES]; /* 0: none */
    size_t next;
};

/* Of the process `pid`, which still lives; without them nothing is kept. `proc_fd` is /proc. */
void recent_keep(struct recent *r, int proc_fd, int pid);
void recent_done(struct recent *r);

#endif

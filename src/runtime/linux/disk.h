/* SPDX-License-Identifier: Apache-2.0 */
/* The disk limit. One file is stopped by the kernel (RLIMIT_FSIZE); the sum of all files is watched
 * by a thread that looks once a second at sandboxes that used the processor since. Above the limit
 * the largest writer is killed; a sandbox that keeps growing regardless is ended (EXIT_DISK).
 * What can be written within a second or two passes the limit: it is a fence, not a wall. */
#ifndef RUNTIME_LINUX_DISK_H
#define RUNTIME_LINUX_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/list.h"
#include "runtime/linux/cgroup.h"

/* Part of a sandbox; everything but the atomics is under the lock. */
struct disk_watch {
    struct list_node node;
    const char *dir, *cgroup; /* borrowed from the sandbox */
    uint64_t limit;           /* 0: only measured */
    uint64_t below;           /* bytes of its layers that are not written to any more */
    int pid, pidfd;           /* its first process; borrowed too */
    uint64_t cpu_us;          /* at the last look */
    uint64_t not_before_us;   /* a large tree is looked at less often */
    unsigned strikes;         /* looks that found it above the limit and growing */
    _Atomic uint64_t bytes;   /* at the last look */
    _Atomic bool has_ended_it;
};

struct disk {
    pthread_mutex_t lock;
    pthread_cond_t closing;
    pthread_t thread;
    bool has_thread, is_closing;
    struct list watched;
    struct disk_watch *current; /* being looked at; NULL when it was removed meanwhile */
    int files_fd, proc_fd;
    const struct cgroups *cgroups;
};

must_check int disk_init(struct disk *d, int files_fd, int proc_fd, const struct cgroups *g,
                         struct err *err);
void disk_done(struct disk *d);
void disk_add(struct disk *d, struct disk_watch *w);
void disk_remove(struct disk *d, struct disk_watch *w); /* harmless when not watched */
/* Bytes on disk of everything below dir/name; see unlinked.h for what has no name. */
uint64_t disk_usage(int dir, const char *name);

#endif

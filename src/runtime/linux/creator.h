/* SPDX-License-Identifier: Apache-2.0 */
/* A thread that launches, or saves (saver.h): its private mount namespace, its stack for children,
 * and a few low descriptor numbers, so that a child copies few descriptors however many the server
 * has. */
#ifndef RUNTIME_LINUX_CREATOR_H
#define RUNTIME_LINUX_CREATOR_H

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/enter.h"

enum { CHILD_STACK_SIZE = 64 << 10 };

enum creator_fd {
    CREATOR_ROOT,
    CREATOR_DEV,
    CREATOR_SYS,
    CREATOR_BOOT,
    CREATOR_CONTROL,
    CREATOR_FDS,
};

struct creator {
    struct linux_driver *driver;
    struct creators *line; /* whose work it does */
    pthread_t thread;
    bool has_thread;
    int fds[CREATOR_FDS]; /* /dev/null between launches */
    int fds_end;          /* one above the highest of them */
    int net_fd;           /* of a saver: see saver.h */
    void *stack;          /* of the child, until it executes */
    struct enter enter;   /* shared with the child */
    uint32_t child_lives; /* the kernel clears it when the child executes or ends */
};

/* Points the creator's low numbers at these descriptors, or at nothing again. */
must_check int creator_place(struct creator *c, const int fds[CREATOR_FDS], struct err *err);
void creator_clear(struct creator *c);

#endif

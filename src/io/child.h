/* SPDX-License-Identifier: Apache-2.0 */
/* A child process: started without fork() of our memory (CLONE_VM and CLONE_VFORK), watched by
 * pidfd on the loop. For helpers and roles; sandboxes are launched by runtime/. */
#ifndef IO_CHILD_H
#define IO_CHILD_H

#include <sys/types.h>

#include "base/err.h"
#include "io/loop.h"

struct child_fd {
    int parent; /* our descriptor */
    int child;  /* its number in the child */
};

struct child_spec {
    const char *path;
    char *const *argv;
    char *const *envp;          /* NULL: ours */
    const struct child_fd *fds; /* 0, 1, 2 not named here are inherited; all others closed */
    size_t fd_count;
    uid_t uid; /* 0: keep */
    gid_t gid;
    /* PR_SET_PDEATHSIG SIGTERM. The "parent" is the thread that started it: call from one that
     * lives as long as the process. */
    bool dies_with_parent;
};

struct child {
    pid_t pid; /* 0 when not running */
    int pidfd;
    int status; /* wait status once on_exit was called; -1 if somebody else reaped it */
    struct watch watch;
    loop_fn *on_exit;
    void *ctx;
};

/* Returns when the program runs, or with the reason why it cannot be executed. Signal handlers, the
 * signal mask and ignored signals are back at their defaults in the child. on_exit comes after it
 * was reaped (pid is 0 then); it may start the next one or free the memory. */
must_check int child_start(struct child *c, struct loop *l, const struct child_spec *spec,
                           loop_fn *on_exit, void *ctx, struct err *err);
void child_signal(struct child *c, int signal); /* harmless after its end */
void child_forget(struct child *c);             /* stop watching, leave it running (and unreaped) */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Programs of the host that the driver runs: CRIU. Not by fork(), which copies the page tables of
 * the server, and not by posix_spawn(), which cannot place them in a sandbox's groups. */
#ifndef RUNTIME_LINUX_TOOL_H
#define RUNTIME_LINUX_TOOL_H

#include <stdbool.h>

#include "base/err.h"
#include "runtime/linux/cgroup.h"

enum { TOOL_HELD_FD = 3 };

struct tool {
    const char *const *argv; /* argv[0] is the path */
    int held_fd;             /* is TOOL_HELD_FD in the tool until it ends; -1: none */
    const struct cgroups *cgroups;
    const char *group;                     /* of a sandbox, to run in; NULL: in ours */
    const char *cgroup_type, *cgroup_data; /* of the view of it that is mounted on "cgroup" */
    bool dies_with_parent;                 /* when the calling thread ends */
};

/* A tool that runs. */
struct tool_run {
    int pid, pidfd;
    int output_fd; /* what it says, for errors: read it when it has ended */
};

/* The child has the mount namespace, working directory and network namespace of the thread. */
must_check int tool_start(const struct tool *t, struct tool_run *out, struct err *err);
/* Waits for its end and closes all; success is the exit code 0. Otherwise the error has the last
 * line it said. Past the deadline it is killed. */
must_check int tool_wait(struct tool_run *r, int timeout_ms, struct err *err);

/* Lets no user namespace begin below that of the process: one of ours goes there and says so. */
must_check int tool_forbid_userns(int pidfd, struct err *err);

#endif

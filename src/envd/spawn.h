/* SPDX-License-Identifier: Apache-2.0 */
/* Starts one user process: own session, own user, nothing inherited but three descriptors. */
#ifndef ENVD_SPAWN_H
#define ENVD_SPAWN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum {
    SPAWN_STACK = 64 << 10, /* of the child until it executes; only touched pages cost */
    SPAWN_OOM_SCORE = 100,  /* user processes are killed before envd */
    SPAWN_NOT_FOUND = 127,  /* exit codes as shells use them */
    SPAWN_NOT_EXECUTABLE = 126,
};

struct spawn_spec {
    const char *path;  /* program, PATH already searched; NULL: not found */
    char *const *argv; /* argv[-1] is a free slot (for a script without "#!") */
    char *const *envp;
    const char *cwd;
    int fds[3];       /* become 0, 1, 2; with is_terminal the first is the terminal */
    bool is_terminal; /* make fds[0] the controlling terminal */
    uint32_t uid, gid;
    const uint32_t *groups;
    size_t group_count;
};

/* The child runs on our memory until it executes (CLONE_VM | CLONE_VFORK): no page is copied. It is
 * leader of a new session and process group. A program that cannot be executed is not an error
 * here: the process says so on its stderr and exits with 127 or 126, as under a shell. Everything
 * before that (user, directory, terminal) is. */
must_check int spawn(const struct spawn_spec *s, pid_t *out_pid, struct err *err);

#endif

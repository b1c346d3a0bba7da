/* SPDX-License-Identifier: Apache-2.0 */
/* Starts one user process: own session, own user, nothing inherited but three descriptors.
 *
 * envd is to stay responsive whatever its processes do, so they are below it in every queue: the
 * out-of-memory killer's (SPAWN_OOM_SCORE; the runtime gives envd less), the processor's (nice 0;
 * the runtime gives envd less where it may) and the disk's (best effort 4; envd takes 0). A process
 * can lower itself further, and nothing but a privilege that no sandbox has brings it up again. */
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

/* Once, before the first spawn(): what was ignored when envd was started must not be inherited. */
void spawn_reset_signals(void);
/* Ours from now on, for all signals that processes must not find ignored. */
void spawn_ignore_signals(void);

/* The child runs on our memory until it executes (CLONE_VM | CLONE_VFORK): no page is copied. It is
 * leader of a new session and process group. A program that cannot be executed is not an error
 * here: the process says so on its stderr and exits with 127 or 126, as under a shell. Everything
 * before that (user, directory, terminal) is. */
must_check int spawn(const struct spawn_spec *s, pid_t *out_pid, struct err *err);

#endif

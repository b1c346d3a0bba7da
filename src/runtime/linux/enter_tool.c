/* SPDX-License-Identifier: Apache-2.0 */
/* The child side of tool_run(): into the control groups it is to be in, then exec. Raw system calls
 * only, see raw.h. */
#include "runtime/linux/enter_tool.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>

#include "runtime/linux/raw.h"
#include "runtime/linux/tool.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4
#endif

static int failed(struct enter_tool *e, const char *action, long result)
{
    e->failed = action;
    e->error = (int)-result;
    return 1;
}

static int join_groups(struct enter_tool *e)
{
    long r;

    for (unsigned i = 0; i < e->group_count; i++) {
        r = raw3(SYS_write, e->groups[i], (long)"0", 1);
        if (r != 1)
            return failed(e, "join the cgroup", r);
    }
    if (e->group_count == 0)
        return 0;
    r = raw1(SYS_unshare, CLONE_NEWCGROUP); /* what it restores begins at its own group */
    if (r != 0)
        return failed(e, "unshare the cgroup namespace", r);
    if (e->cgroup_type != 0) /* not worth failing for, as in enter.c */
        raw5(SYS_mount,
             (const long[5]){(long)e->cgroup_type, (long)"cgroup", (long)e->cgroup_type,
                             MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, (long)e->cgroup_data});
    return 0;
}

/* The creator of threads blocks all signals; a tool expects none blocked. */
static void unblock_signals(void)
{
    const uint64_t none = 0;

    raw5(SYS_rt_sigprocmask, (const long[5]){SIG_SETMASK, (long)&none, 0, sizeof(none)});
}

int enter_tool(void *ctx)
{
    struct enter_tool *e = ctx;
    long r;

    if (e->dies_with_parent)
        raw5(SYS_prctl, (const long[5]){PR_SET_PDEATHSIG, SIGKILL});
    if (join_groups(e) != 0)
        return 1;
    for (long fd = 0; fd < TOOL_HELD_FD; fd++)
        raw3(SYS_dup3, fd == 0 ? e->null_fd : e->output_fd, fd, 0);
    if (e->held_fd >= 0) {
        if (e->held_fd == TOOL_HELD_FD) /* dup3() refuses */
            r = raw3(SYS_fcntl, TOOL_HELD_FD, F_SETFD, 0);
        else
            r = raw3(SYS_dup3, e->held_fd, TOOL_HELD_FD, 0);
        if (r < 0)
            return failed(e, "place a descriptor", r);
    }
    raw3(SYS_close_range, TOOL_HELD_FD + (e->held_fd >= 0), ~0U, CLOSE_RANGE_CLOEXEC);
    unblock_signals();
    r = raw3(SYS_execve, (long)e->argv[0], (long)e->argv, (long)e->envp);
    return failed(e, "execute", r);
}

/* The setting is that of the namespace of who opens it. Ours is not to exec in between: without an
 * id there, its capabilities would go. */
int enter_userns(void *ctx)
{
    struct enter_userns *e = ctx;
    long fd, r = raw2(SYS_setns, e->pidfd, CLONE_NEWUSER);

    e->failed = "enter the user namespace";
    if (r == 0) {
        e->failed = "write max_user_namespaces";
        fd = raw5(SYS_openat,
                  (const long[5]){AT_FDCWD, (long)"/proc/sys/user/max_user_namespaces", O_WRONLY});
        r = fd < 0 ? fd : raw3(SYS_write, fd, (long)"0", 1);
    }
    if (r == 1)
        e->failed = 0;
    e->error = (int)-r;
    return r != 1;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The child half of Start. Between clone and execve only system calls are made: the child shares
 * our memory, and libc's setuid() and friends would touch our threads' state. */
#include "envd/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/str.h"

enum {
    CLOSE_ON_EXEC = 4, /* CLOSE_RANGE_CLOEXEC; not in every libc's headers */
    SIGNAL_MAX = 64,
    KERNEL_SIGSET_SIZE = 8,
    IOPRIO_OF_PROCESS = 1,              /* IOPRIO_WHO_PROCESS; libc has no header for these */
    IOPRIO_BEST_EFFORT_4 = 2 << 13 | 4, /* class and level: what ionice -c2 -n4 sets */
};

/* What envd ignores: a write to a dead peer, and a file beyond the limit, are errors to it. */
static const int ignored_signals[] = {SIGPIPE, SIGXFSZ};

/* The child's until it executes. One is enough: we wait for it. */
static _Alignas(16) char stack[SPAWN_STACK];

/* Shared with the child. */
struct spawn_job {
    const struct spawn_spec *spec;
    const char *step; /* what failed, NULL when execve was reached */
    int sys;
};

static int fail(struct spawn_job *job, const char *step)
{
    job->step = step;
    job->sys = errno;
    return SPAWN_NOT_FOUND;
}

/* The kernel's struct, all zero: SIG_DFL. libc's call refuses the signals it keeps for itself,
 * which may have been ignored by whoever started us, and would touch our own libc's state in the
 * child. */
static void set_default(long signal)
{
    const unsigned long standard[4] = {0};

    ignore(syscall(SYS_rt_sigaction, signal, standard, NULL, (long)KERNEL_SIGSET_SIZE));
}

void spawn_reset_signals(void)
{
    for (long signal = 1; signal <= SIGNAL_MAX; signal++)
        set_default(signal);
}

void spawn_ignore_signals(void)
{
    for (size_t i = 0; i < COUNT_OF(ignored_signals); i++)
        signal(ignored_signals[i], SIG_IGN);
}

/* execve() itself resets what has a handler. */
static void reset_signals(void)
{
    sigset_t none;

    for (size_t i = 0; i < COUNT_OF(ignored_signals); i++)
        set_default(ignored_signals[i]);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* None of these is worth failing for. */
static void step_back(void)
{
    static const char score[] = "100"; /* SPAWN_OOM_SCORE */
    int fd;

    ignore(syscall(SYS_setpriority, (long)PRIO_PROCESS, 0L, 0L));
    ignore(syscall(SYS_ioprio_set, (long)IOPRIO_OF_PROCESS, 0L, (long)IOPRIO_BEST_EFFORT_4));
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0)
        return; /* no /proc: the kernel decides by size alone */
    ignore(write(fd, score, sizeof(score) - 1));
    close(fd);
}

static int take_fds(const struct spawn_spec *s)
{
    for (int i = 0; i < 3; i++) {
        if (dup2(s->fds[i], i) < 0)
            return -1;
    }
    ignore(syscall(SYS_close_range, 3, ~0U, CLOSE_ON_EXEC)); /* all are CLOEXEC; a second belt */
    return 0;
}

static int become(const struct spawn_spec *s)
{
    if (geteuid() == s->uid && geteuid() != 0)
        return 0; /* envd runs unprivileged, as this very user (tests) */
    if (syscall(SYS_setgroups, s->group_count, s->groups) != 0 ||
        syscall(SYS_setresgid, s->gid, s->gid, s->gid) != 0 ||
        syscall(SYS_setresuid, s->uid, s->uid, s->uid) != 0)
        return -1;
    return 0;
}

static void say(const char *text)
{
    ignore(write(2, text, strlen(text))); /* nobody to tell otherwise */
}

/* The program could not be executed: say it as a shell would. */
static int not_executed(const struct spawn_spec *s, int sys)
{
    say("exec: ");
    say(s->argv[0]);
    say(": ");
    say(sys == ENOENT ? "not found" : strerror(sys));
    say("\n");
    return sys == ENOENT ? SPAWN_NOT_FOUND : SPAWN_NOT_EXECUTABLE;
}

static int execute(const struct spawn_spec *s)
{
    char **script;

    if (s->path == NULL)
        return not_executed(s, ENOENT);
    execve(s->path, s->argv, s->envp);
    if (errno != ENOEXEC)
        return not_executed(s, errno);
    /* A text without "#!" is a shell script, as execvp(3) has it. */
    script = (char **)(uintptr_t)(s->argv - 1);
    script[0] = (char *)(uintptr_t) "/bin/sh";
    script[1] = (char *)(uintptr_t)s->path;
    execve("/bin/sh", script, s->envp);
    return not_executed(s, ENOEXEC);
}

static int child_main(void *ctx)
{
    struct spawn_job *job = ctx;
    const struct spawn_spec *s = job->spec;

    if (setsid() < 0)
        return fail(job, "start session");
    if (take_fds(s) != 0)
        return fail(job, "set up descriptors");
    if (s->is_terminal && ioctl(0, TIOCSCTTY, 0) != 0)
        return fail(job, "set controlling terminal");
    step_back();
    if (become(s) != 0)
        return fail(job, "become user");
    if (chdir(s->cwd) != 0)
        return fail(job, "change directory");
    reset_signals();
    return execute(s);
}

int spawn(const struct spawn_spec *s, pid_t *out_pid, struct err *err)
{
    struct spawn_job job = {.spec = s};
    sigset_t all, before;
    int sys;
    pid_t pid;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = clone(child_main, stack + SPAWN_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &job);
    sys = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return err_sys(err, sys, "start process");
    if (job.step != NULL) {
        waitpid(pid, NULL, 0);
        return err_sys(err, job.sys, "%s '%.100s'", job.step, s->cwd);
    }
    *out_pid = pid;
    return 0;
}

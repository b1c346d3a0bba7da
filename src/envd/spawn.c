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
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/str.h"

enum {
    CLOSE_ON_EXEC = 4, /* CLOSE_RANGE_CLOEXEC; not in every libc's headers */
    SIGNAL_MAX = 64,
    KERNEL_SIGSET_SIZE = 8,
};

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

static void reset_signals(void)
{
    /* The kernel's struct, all zero: SIG_DFL. libc's call refuses the signals it keeps for itself,
     * which may have been ignored by whoever started us. */
    const unsigned long standard[4] = {0};
    sigset_t none;

    for (long signal = 1; signal <= SIGNAL_MAX; signal++)
        ignore(syscall(SYS_rt_sigaction, signal, standard, NULL, (long)KERNEL_SIGSET_SIZE));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_oom_score(void)
{
    static const char score[] = "100";
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

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
    set_oom_score();
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
    char *stack;
    int sys;
    pid_t pid;

    stack = mmap(NULL, SPAWN_STACK, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED)
        return err_sys(err, errno, "start process: stack");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = clone(child_main, stack + SPAWN_STACK, CLONE_VM | CLONE_VFORK | SIGCHLD, &job);
    sys = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    munmap(stack, SPAWN_STACK);
    if (pid < 0)
        return err_sys(err, sys, "start process");
    if (job.step != NULL) {
        waitpid(pid, NULL, 0);
        return err_sys(err, job.sys, "%s '%.100s'", job.step, s->cwd);
    }
    *out_pid = pid;
    return 0;
}

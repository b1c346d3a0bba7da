/* SPDX-License-Identifier: Apache-2.0 */
/* Starting helpers and roles. posix_spawn(3) can change neither the user nor the death signal, and
 * fork(2) copies our page tables: so the child shares our memory on a stack of its own until it
 * executes, while the calling thread waits (CLONE_VFORK).
 *
 * Code that runs in the child uses raw system calls only: the libc's setuid() would signal all our
 * threads, its sigaction() may lock. The sanitizers keep out: they would leave their marks on a
 * stack that is never unwound. Its writes to struct plan are how we learn what failed. */
#include "io/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifdef __SANITIZE_THREAD__
/* TSan takes clone() for fork(): it locks what it has, and each side, though one, unlocks it. */
extern __typeof__(clone) __clone;
#define clone __clone
#endif

/* Between clone() and exec the child has our memory, which no sanitizer expects. */
#define uninstrumented __attribute__((no_sanitize("address", "thread", "undefined"), noinline))

enum {
    CHILD_FDS_MAX = 64,
    CHILD_STACK = 64 << 10,
    CHILD_SIGNALS = 64,
    KERNEL_SIGSET = 8, /* bytes of a signal set at the kernel's door */
    KERNEL_SIGACTION_MAX = 64,
};

struct plan {
    const struct child_spec *spec;
    char *const *envp;
    pid_t parent;
    bool sets_user;
    int moved[CHILD_FDS_MAX];   /* the parent's descriptors, out of the way */
    int numbers[CHILD_FDS_MAX]; /* the child's, in ascending order */
    int above;                  /* first number above all of the child's */
    volatile int sys;           /* errno of what failed, 0 when executed */
    const char *volatile what;
};

uninstrumented static _Noreturn void give_up(struct plan *p, const char *what)
{
    p->sys = errno;
    p->what = what;
    for (;;)
        syscall(SYS_exit_group, 127L);
}

uninstrumented static void reset_signals(void)
{
    const unsigned char fallback[KERNEL_SIGACTION_MAX] = {0}; /* SIG_DFL is 0 */
    const uint64_t none = 0;

    for (long number = 1; number <= CHILD_SIGNALS; number++)
        syscall(SYS_rt_sigaction, number, fallback, NULL, (long)KERNEL_SIGSET);
    syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, &none, NULL, (long)KERNEL_SIGSET);
}

/* Numbers may overlap ({3→4}, {4→3}): everything is copied above them first, then put in place. */
uninstrumented static void place_fds(struct plan *p)
{
    const struct child_spec *s = p->spec;
    long from = 3;

    for (size_t i = 0; i < s->fd_count; i++) {
        p->moved[i] =
            (int)syscall(SYS_fcntl, (long)s->fds[i].parent, (long)F_DUPFD_CLOEXEC, (long)p->above);
        if (p->moved[i] < 0)
            give_up(p, "copy descriptor");
    }
    for (size_t i = 0; i < s->fd_count; i++) {
        if (syscall(SYS_dup3, (long)p->moved[i], (long)s->fds[i].child, 0L) < 0)
            give_up(p, "place descriptor");
    }
    for (size_t i = 0; i < s->fd_count; i++) {
        long number = p->numbers[i];

        if (number > from && syscall(SYS_close_range, from, number - 1, 0L) < 0)
            give_up(p, "close descriptors");
        if (number >= from)
            from = number + 1;
    }
    if (syscall(SYS_close_range, from, (long)UINT32_MAX, 0L) < 0)
        give_up(p, "close descriptors");
}

uninstrumented static void set_user(struct plan *p)
{
    long uid = p->spec->uid == 0 ? -1L : (long)p->spec->uid;
    long gid = p->spec->gid == 0 ? -1L : (long)p->spec->gid;

    if (syscall(SYS_setgroups, 0L, NULL) < 0)
        give_up(p, "drop groups");
    if (syscall(SYS_setresgid, gid, gid, gid) < 0)
        give_up(p, "set group");
    if (syscall(SYS_setresuid, uid, uid, uid) < 0)
        give_up(p, "set user");
}

uninstrumented static int child_main(void *ctx)
{
    struct plan *p = ctx;

    reset_signals();
    place_fds(p);
    if (p->sets_user)
        set_user(p);
    if (p->spec->dies_with_parent) {
        /* After the change of user, which clears it. */
        if (syscall(SYS_prctl, (long)PR_SET_PDEATHSIG, (long)SIGTERM, 0L, 0L, 0L) < 0)
            give_up(p, "set death signal");
        if (syscall(SYS_getppid) != (long)p->parent) {
            errno = ESRCH;
            give_up(p, "find the parent");
        }
    }
    syscall(SYS_execve, p->spec->path, p->spec->argv, p->envp);
    give_up(p, "execute");
}

static int sort_numbers(struct plan *p, struct err *err)
{
    const struct child_spec *s = p->spec;

    if (s->fd_count > CHILD_FDS_MAX)
        return err_set(err, ERR_LIMIT, "%zu descriptors for one child", s->fd_count);
    p->above = 3;
    for (size_t i = 0; i < s->fd_count; i++) {
        int number = s->fds[i].child;
        size_t at = i;

        if (number < 0 || s->fds[i].parent < 0)
            return err_set(err, ERR_INVALID, "descriptor %d as %d", s->fds[i].parent, number);
        for (; at > 0 && p->numbers[at - 1] > number; at--)
            p->numbers[at] = p->numbers[at - 1];
        if (at > 0 && p->numbers[at - 1] == number)
            return err_set(err, ERR_INVALID, "descriptor %d is given twice", number);
        p->numbers[at] = number;
        if (number >= p->above)
            p->above = number + 1;
    }
    return 0;
}

static int run(struct plan *p, pid_t *out_pid, int *out_pidfd, struct err *err)
{
    const int flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD;
    const uint64_t all = UINT64_MAX;
    auto_free char *stack = malloc(CHILD_STACK);
    auto_fd int pidfd = -1;
    uint64_t old = 0;
    pid_t pid;
    int sys;

    if (stack == NULL)
        return err_sys(err, ENOMEM, "start process");
    /* All of them, the libc's own too: a handler must not run in the child on our memory. */
    syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, &all, &old, (long)KERNEL_SIGSET);
    pid = clone(child_main, (void *)(((uintptr_t)stack + CHILD_STACK) & ~(uintptr_t)15), flags, p,
                &pidfd);
    sys = errno;
    syscall(SYS_rt_sigprocmask, (long)SIG_SETMASK, &old, NULL, (long)KERNEL_SIGSET);
    if (pid < 0)
        return err_sys(err, sys, "start process");
    if (p->sys != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        return err_sys(err, p->sys, "%s", p->what);
    }
    *out_pid = pid;
    *out_pidfd = take_fd(&pidfd);
    return 0;
}

static void on_end(void *ctx, uint32_t events)
{
    struct child *c = ctx;
    int status = -1;
    pid_t done = waitpid(c->pid, &status, WNOHANG);

    (void)events;
    if (done == 0)
        return;
    c->status = done < 0 ? -1 : status;
    child_forget(c);
    c->on_exit(c->ctx);
}

int child_start(struct child *c, struct loop *l, const struct child_spec *spec, loop_fn *on_exit,
                void *ctx, struct err *err)
{
    struct plan p = {
        .spec = spec,
        .envp = spec->envp == NULL ? environ : spec->envp,
        .parent = getpid(),
        .sets_user =
            (spec->uid != 0 && spec->uid != getuid()) || (spec->gid != 0 && spec->gid != getgid()),
    };

    *c = (struct child){.pidfd = -1, .on_exit = on_exit, .ctx = ctx};
    if (sort_numbers(&p, err) != 0 || run(&p, &c->pid, &c->pidfd, err) != 0)
        return err_wrap(err, "start '%s'", spec->path);
    if (watch_start(l, &c->watch, c->pidfd, EPOLLIN, on_end, c, err) != 0) {
        child_signal(c, SIGKILL);
        while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
            continue;
        child_forget(c);
        return err_wrap(err, "start '%s'", spec->path);
    }
    return 0;
}

void child_signal(struct child *c, int signal)
{
    if (c->pid != 0)
        ignore(syscall(SYS_pidfd_send_signal, (long)c->pidfd, (long)signal, NULL, 0L)); /* ended */
}

void child_forget(struct child *c)
{
    if (c->pid == 0)
        return;
    watch_stop(&c->watch);
    own_close_fd(&c->pidfd);
    c->pidfd = -1;
    c->pid = 0;
}

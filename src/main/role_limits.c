/* SPDX-License-Identifier: Apache-2.0 */
/* See role_limits.h. */
#include "main/role_limits.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "base/own.h"

#ifndef __SANITIZE_ADDRESS__
#define __SANITIZE_ADDRESS__ 0
#endif

/* clang-format off */
const char *const role_calls[] = {
    /* memory, threads, time */
    "brk", "clock_getres", "clock_gettime", "clock_nanosleep", "exit", "exit_group", "futex",
    "get_robust_list", "getcpu", "getrandom", "gettimeofday", "madvise", "membarrier", "mmap",
    "mprotect", "mremap", "munmap", "nanosleep", "rseq", "sched_getaffinity", "sched_setaffinity",
    "sched_yield", "set_robust_list", "set_tid_address", "sysinfo", "time", "uname",
    /* signals, the process itself */
    "arch_prctl", "getegid", "geteuid", "getgid", "getpgrp", "getpid", "getppid", "getresgid",
    "getresuid", "getrlimit", "getrusage", "gettid", "getuid", "prctl", "prlimit64",
    "restart_syscall", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigtimedwait", "setrlimit", "setsid", "sigaltstack", "tgkill", "umask",
    /* the loop, descriptors, sockets */
    "accept", "accept4", "bind", "close", "close_range", "connect", "dup", "dup2", "dup3",
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2",
    "fcntl", "getpeername", "getsockname", "getsockopt", "ioctl", "listen", "pipe2", "poll",
    "ppoll", "pselect6", "read", "readv", "recvfrom", "recvmmsg", "recvmsg", "select", "sendfile",
    "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "signalfd4", "socketpair",
    "splice", "tee", "timerfd_create", "timerfd_gettime", "timerfd_settime", "write", "writev",
    /* files; what may be opened is decided by the role's user */
    "access", "chmod", "copy_file_range", "faccessat", "faccessat2", "fadvise64", "fallocate",
    "fchmod", "fchmodat", "fchown", "fdatasync", "flock", "fstat", "fstatfs", "fsync",
    "ftruncate", "getcwd", "getdents64", "inotify_add_watch", "inotify_init1", "inotify_rm_watch",
    "link", "linkat", "lseek", "lstat", "mkdir", "mkdirat", "newfstatat", "open", "openat",
    "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "readahead",
    "readlink", "readlinkat", "rename", "renameat", "renameat2", "rmdir", "stat", "statfs",
    "statx", "symlinkat", "sync_file_range", "truncate", "unlink", "unlinkat", "utimensat",
#if __SANITIZE_ADDRESS__
    /* what looks for leaks at the end traces us from a process of its own */
    "clone", "getdents", "personality", "ptrace", "process_vm_readv", "wait4",
#endif
};
const size_t role_call_count = COUNT_OF(role_calls);

/* No library tries one of these to see whether it is there: who makes them took the role over. */
const char *const role_fatal_calls[] = {
    "execve", "execveat", "process_vm_writev", "pidfd_getfd", "kcmp",
#if !__SANITIZE_ADDRESS__
    "ptrace", "fork", "vfork",
#endif
    "mount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount",
    "mount_setattr", "setns", "unshare", "bpf", "perf_event_open", "userfaultfd",
    "io_uring_setup", "open_by_handle_at", "mknod", "mknodat", "init_module", "finit_module",
    "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
    "settimeofday", "clock_settime", "sethostname", "setdomainname", "acct", "add_key",
    "request_key", "keyctl", "iopl", "ioperm", "syslog", "quotactl",
};
const size_t role_fatal_call_count = COUNT_OF(role_fatal_calls);
/* clang-format on */

/* Those of roles; packets of the link layer, vsock and so on have no place here. */
static const int families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* Threads and no processes. */
static int allow_threads(scmp_filter_ctx ctx)
{
    return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0_64(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

static int add_names(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t count)
{
    int error = 0;

    for (size_t i = 0; error == 0 && i < count; i++) {
        int number = seccomp_syscall_resolve_name(names[i]);

        if (number >= 0) /* another machine does not have all of them, nor an older library */
            error = seccomp_rule_add(ctx, action, number, 0);
    }
    return error;
}

static int add_rules(scmp_filter_ctx ctx)
{
    int error = __SANITIZE_ADDRESS__ ? 0 : allow_threads(ctx);

    if (error == 0)
        error = add_names(ctx, SCMP_ACT_ALLOW, role_calls, role_call_count);
    if (error == 0)
        error = add_names(ctx, SCMP_ACT_KILL_PROCESS, role_fatal_calls, role_fatal_call_count);
    if (error == 0) /* of the other filter, which is no less strict */
        error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone3), 0);
    for (size_t i = 0; error == 0 && i < COUNT_OF(families); i++)
        error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                                 SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)families[i]));
    return error;
}

/* clone3 passes flags where a filter cannot see them: libc takes its absence for an old kernel and
 * begins threads with clone. As every start of a thread tries it, it is refused by a filter of its
 * own that leaves nothing in the log. */
static int load_quiet(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);
    int error = ctx == NULL ? -ENOMEM : 0;

    if (error == 0)
        error = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (error == 0)
        error = seccomp_load(ctx);
    seccomp_release(ctx);
    return error;
}

static int load_list(void)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int error = ctx == NULL ? -ENOMEM : 0;

    if (error == 0) {
        /* a search tree, and the log: a library that is too old for them filters all the same */
        ignore(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2));
        ignore(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1));
        error = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    }
    if (error == 0)
        error = add_rules(ctx);
    if (error == 0)
        error = seccomp_load(ctx);
    seccomp_release(ctx);
    return error;
}

static int load_filters(struct err *err)
{
    int error = load_quiet();

    if (error == 0)
        error = load_list(); /* after which no filter can be loaded */
    if (error == 0)
        return 0;
    return err_sys(err, -error, "load the filter of system calls (roles.seccomp=off goes without)");
}

int role_limit(bool has_filter, struct err *err)
{
    /* Its user has no capability, and so no program could give it one. */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_sys(err, errno, "give up new privileges");
    /* Nobody of the same user reads its memory, and no core file has it. */
    if (!__SANITIZE_ADDRESS__ && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        return err_sys(err, errno, "be not dumpable");
    return has_filter ? load_filters(err) : 0;
}

/* ---- node ---- */

static const unsigned never_needed[] = {
    CAP_SYS_MODULE,     CAP_SYS_RAWIO,     CAP_SYS_BOOT,      CAP_SYS_PACCT,
    CAP_SYS_TTY_CONFIG, CAP_SYSLOG,        CAP_WAKE_ALARM,    CAP_MAC_OVERRIDE,
    CAP_MAC_ADMIN,      CAP_BLOCK_SUSPEND, CAP_AUDIT_CONTROL, CAP_AUDIT_READ,
};

int role_drop_capabilities(struct err *err)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    if (syscall(SYS_capget, &head, data) != 0)
        return err_sys(err, errno, "read capabilities");
    for (size_t i = 0; i < COUNT_OF(never_needed); i++) {
        unsigned cap = never_needed[i];

        /* EINVAL: an older kernel does not have it. EPERM: we have none to drop. */
        if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EINVAL && errno != EPERM)
            return err_sys(err, errno, "drop capability %u", cap);
        data[CAP_TO_INDEX(cap)].effective &= ~CAP_TO_MASK(cap);
        data[CAP_TO_INDEX(cap)].permitted &= ~CAP_TO_MASK(cap);
        data[CAP_TO_INDEX(cap)].inheritable &= ~CAP_TO_MASK(cap);
    }
    if (syscall(SYS_capset, &head, data) != 0)
        return err_sys(err, errno, "drop capabilities");
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks that are one system call: what the filter and the capabilities refuse. The arguments are
 * ones that a kernel without them would take, or else the reason would show nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile.h"

/* Newer than some libc: the same on every machine. */
enum {
    CALL_PIDFD_OPEN = 434,
    CALL_CLONE3 = 435,
    CALL_PIDFD_GETFD = 438,
    CALL_QUOTACTL_FD = 443,
    CALL_IO_URING_SETUP = 425,
    X32_BIT = 0x40000000,
    NS_GET_USERNS = 0xb701,
    NS_GET_PARENT = 0xb702,
    NEW_TIME = 0x80,
    HANDLE_BYTES = 128,
    MCL_ALL = MCL_CURRENT | MCL_FUTURE,
    BIG = 1 << 30,
    HUGE_PAGE = 2 << 20,
    RUN_HUGE = 04000, /* SHM_HUGETLB */
};

static const int refusals[] = {EPERM, EACCES, ENOSYS, 0};

static char zeros[4096];

static void call(const struct hostile_row *row)
{
    const long *n = row->numbers;

    expect_refused(syscall(n[0], n[1], n[2], n[3], n[4], n[5]), refusals);
}

#define ZEROS ((long)zeros)

static void perf(const struct hostile_row *row)
{
    uint32_t attr[32] = {1, 128, 0}; /* PERF_TYPE_SOFTWARE, this size, cpu clock */

    (void)row;
    attr[10] = 1 | 1 << 5; /* disabled, without the kernel */
    expect_refused(syscall(SYS_perf_event_open, attr, 0, -1, -1, 0), refusals);
}

static void map_by_bpf(const struct hostile_row *row)
{
    uint32_t attr[32] = {2, 4, 4, 1}; /* an array of one */

    (void)row;
    expect_refused(syscall(SYS_bpf, 0, attr, sizeof(attr)), refusals);
}

static void clock_step(const struct hostile_row *row)
{
    struct timespec now;

    (void)row;
    clock_gettime(CLOCK_REALTIME, &now);
    expect_refused(syscall(SYS_clock_settime, CLOCK_REALTIME, &now), refusals);
}

static void clock_tune(const struct hostile_row *row)
{
    struct timex t = {.modes = ADJ_TICK, .tick = 10000};

    (void)row;
    expect_refused(adjtimex(&t), refusals);
}

static void open_handle(const struct hostile_row *row)
{
    struct {
        unsigned bytes;
        int type;
        unsigned char handle[HANDLE_BYTES];
    } h = {.bytes = HANDLE_BYTES};
    int mount_id, root = open("/", O_RDONLY | O_DIRECTORY);

    (void)row;
    /* the number of a file system's root, as tried against containers since 2014 */
    if (syscall(SYS_name_to_handle_at, AT_FDCWD, "/", &h, &mount_id, 0) != 0) {
        h.bytes = 8;
        h.type = 1;
        memcpy(h.handle, "\2\0\0\0\0\0\0\0", 8);
    }
    expect_refused(syscall(SYS_open_by_handle_at, root, &h, O_RDONLY), refusals);
}

/* ---- another entry to the kernel than the filter's ---- */

#ifdef __x86_64__
static void no_such_entry(int number)
{
    (void)number;
    held("not in this kernel");
}

static void entry_32(const struct hostile_row *row)
{
    long result = 20; /* getpid there, which a process may at least ask */

    (void)row;
    signal(SIGSEGV, no_such_entry);
    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    broke("the 32 bit entry answers %ld", result);
}

static void entry_x32(const struct hostile_row *row)
{
    broke("the x32 entry answers %ld", syscall(X32_BIT | row->numbers[0], 0, 0, 0, 0, 0));
}
#endif

/* Upper halves of registers that the kernel does not look at, but a filter might. */
static void wide_family(const struct hostile_row *row)
{
    static const int wanted[] = {EAFNOSUPPORT, EPROTONOSUPPORT, 0};

    expect_refused(syscall(SYS_socket, (1L << 32) | row->numbers[0], row->numbers[1], 0), wanted);
}

/* ---- namespaces ---- */

static void in_clone(const struct hostile_row *row)
{
    long pid = syscall(SYS_clone, row->numbers[0] | SIGCHLD, 0, 0, 0, 0);
    static const int wanted[] = {EPERM, ENOSPC, ENOSYS, 0};

    if (pid == 0)
        _exit(0);
    expect_refused(pid, wanted);
}

static void in_clone3(const struct hostile_row *row)
{
    uint64_t args[11] = {[0] = (uint64_t)row->numbers[0], [4] = SIGCHLD};
    long pid = syscall(CALL_CLONE3, args, sizeof(args));
    static const int wanted[] = {EPERM, ENOSPC, ENOSYS, 0};

    if (pid == 0)
        _exit(0);
    expect_refused(pid, wanted);
}

static void in_unshare(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, ENOSPC, 0};

    expect_refused(unshare((int)row->numbers[0]), wanted);
}

static void in_setns(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, 0};
    static const int own[] = {EPERM, EINVAL, 0}; /* of users: EINVAL is for one's own */
    int fd = open(row->text, O_RDONLY);

    if (fd < 0)
        held("not to be opened");
    expect_refused(setns(fd, 0), strstr(row->text, "user") == NULL ? wanted : own);
}

static void by_pidfd(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, 0};
    long fd = syscall(CALL_PIDFD_OPEN, 1, 0);

    expect_refused(setns((int)fd, (int)row->numbers[0]), wanted);
}

static void to_parent(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, 0};
    int fd = open(row->text, O_RDONLY);

    if (fd < 0)
        broke("no %s", row->text);
    expect_refused(ioctl(fd, (int)row->numbers[0]), wanted);
}

/* ---- rights over the machine's time ---- */

static void real_time(const struct hostile_row *row)
{
    const struct sched_param param = {.sched_priority = 1};

    expect_refused(syscall(SYS_sched_setscheduler, 0, row->numbers[0], &param), refusals);
}

static void by_deadline(const struct hostile_row *row)
{
    struct {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
    } attr = {48, 6, 0, 0, 0, 10000000, 30000000, 30000000};

    (void)row;
    expect_refused(syscall(SYS_sched_setattr, 0, &attr, 0), refusals);
}

static void raise_limit(const struct hostile_row *row)
{
    struct rlimit limit;

    getrlimit((int)row->numbers[0], &limit);
    if (limit.rlim_max == RLIM_INFINITY)
        broke("there is no limit");
    limit.rlim_max++;
    limit.rlim_cur = limit.rlim_max;
    expect_refused(setrlimit((int)row->numbers[0], &limit), refusals);
}

/* However it is set, crashes must not start the machine's program for core files: it stays 1, the
 * number that keeps the kernel from it. */
static void core_size(const struct hostile_row *row)
{
    const struct rlimit wanted = {(rlim_t)row->numbers[1], (rlim_t)row->numbers[1]};
    struct rlimit found;

    syscall(SYS_prlimit64, 0, row->numbers[0] | RLIMIT_CORE, &wanted, NULL);
#ifdef SYS_setrlimit
    syscall(SYS_setrlimit, row->numbers[0] | RLIMIT_CORE, &wanted);
#endif
    getrlimit(RLIMIT_CORE, &found);
    if (found.rlim_cur != 1 || found.rlim_max != 1)
        broke("it is %lu", (unsigned long)found.rlim_cur);
    held("it is what it was");
}

static void more_rights(const struct hostile_row *row)
{
    uint32_t header[2] = {0x20080522, 0}, sets[6] = {0};
    long bit = row->numbers[0];

    syscall(SYS_capget, header, sets);
    sets[bit / 32 * 3] |= 1U << bit % 32;
    sets[bit / 32 * 3 + 1] |= 1U << bit % 32;
    expect_refused(syscall(SYS_capset, header, sets), refusals);
}

static void pin_all(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, ENOMEM, EAGAIN, 0};
    char *memory = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)row;
    if (memory == MAP_FAILED)
        held(strerror(errno));
    expect_refused(mlock(memory, BIG), wanted);
}

/* ---- the first process, by somebody without rights ---- */

static void open_of_first(const struct hostile_row *row)
{
    static const int wanted[] = {EPERM, EACCES, 0};

    expect_refused(open(row->text, (int)row->numbers[0]), wanted);
}

static void link_of_first(const struct hostile_row *row)
{
    char target[256];
    static const int wanted[] = {EPERM, EACCES, 0};

    expect_refused(readlink(row->text, target, sizeof(target)), wanted);
}

static void trace_first(const struct hostile_row *row)
{
    expect_refused(ptrace((int)row->numbers[0], 1, NULL, NULL), refusals);
}

static void read_first(const struct hostile_row *row)
{
    char byte;
    struct iovec here = {&byte, 1}, there = {(void *)0x400000, 1};

    (void)row;
    expect_refused(process_vm_readv(1, &here, 1, &there, 1, 0), refusals);
}

static void take_fd_of_first(const struct hostile_row *row)
{
    long fd = syscall(CALL_PIDFD_OPEN, 1, 0);

    (void)row;
    expect_refused(syscall(CALL_PIDFD_GETFD, fd, 0, 0), refusals);
}

static void kill_first(const struct hostile_row *row)
{
    expect_refused(kill(1, (int)row->numbers[0]), refusals);
}

/* clang-format off */
static const struct hostile_row calls[] = {
    {"bpf", map_by_bpf, .numbers = {0}},
    {"perf_event_open", perf, .numbers = {0}},
    {"io_uring_setup", call, .numbers = {CALL_IO_URING_SETUP, 1, ZEROS}},
    {"userfaultfd", call, .numbers = {SYS_userfaultfd, O_CLOEXEC | 1}},
    {"keyctl", call, .numbers = {SYS_keyctl, 0, -3, 1}},
    {"add_key", call, .numbers = {SYS_add_key, (long)"user", (long)"a", ZEROS, 1}},
    {"request_key", call, .numbers = {SYS_request_key, (long)"user", (long)"a", 0, -3}},
    {"init_module", call, .numbers = {SYS_init_module, ZEROS, 64, (long)""}},
    {"finit_module", call, .numbers = {SYS_finit_module, 0, (long)"", 0}},
    {"delete_module", call, .numbers = {SYS_delete_module, (long)"overlay", O_NONBLOCK}},
    {"kexec_load", call, .numbers = {SYS_kexec_load, 0, 0, 0, 0}},
#ifdef SYS_kexec_file_load
    {"kexec_file_load", call, .numbers = {SYS_kexec_file_load, 0, 0, 1, (long)"", 4}},
#endif
    {"reboot", call, .numbers = {SYS_reboot, 0xfee1dead, 672274793, 0, 0}},
    {"swapon", call, .numbers = {SYS_swapon, (long)"/etc/passwd", 0}},
    {"swapoff", call, .numbers = {SYS_swapoff, (long)"/etc/passwd"}},
    {"quotactl", call, .numbers = {SYS_quotactl, 0x80000100, 0, 0, 0}},
    {"quotactl_fd", call, .numbers = {CALL_QUOTACTL_FD, 0, 0x80000100, 0, 0}},
    {"acct", call, .numbers = {SYS_acct, (long)"/etc/passwd"}},
    {"syslog", call, .numbers = {SYS_syslog, 3, ZEROS, 64}},
    {"settimeofday", call, .numbers = {SYS_settimeofday, 0, ZEROS}},
    {"clock_settime", clock_step, .numbers = {0}},
    {"adjtimex", clock_tune, .numbers = {0}},
    {"open_by_handle", open_handle, .numbers = {0}},
    {"kcmp", call, .numbers = {SYS_kcmp, 1, 1, 0, 0, 0}},
    {"move_pages", call, .numbers = {SYS_move_pages, 0, 0, 0, 0, 0}},
    {"migrate_pages", call, .numbers = {SYS_migrate_pages, 0, 0, 0, 0}},
    {"vhangup", call, .numbers = {SYS_vhangup}},
    {"io_setup", call, .numbers = {SYS_io_setup, 1, ZEROS}},
    {"sethostname", call, .numbers = {SYS_sethostname, (long)"other", 5}},
    {"fanotify of all", call, .numbers = {SYS_fanotify_init, 4, 0}},
    {"ioprio of real time", call, .numbers = {SYS_ioprio_set, 1, 0, 1 << 13}},
    {"nice", call, .numbers = {SYS_setpriority, 0, 0, -20}},
    {"FIFO", real_time, .numbers = {SCHED_FIFO}},
    {"RR", real_time, .numbers = {SCHED_RR}},
    {"deadline", by_deadline, .numbers = {0}},
    {"more open files", raise_limit, .numbers = {RLIMIT_NOFILE}},
    {"more real time", raise_limit, .numbers = {RLIMIT_RTPRIO}},
    {"more memory in place", raise_limit, .numbers = {RLIMIT_MEMLOCK}},
    {"more queues", raise_limit, .numbers = {RLIMIT_MSGQUEUE}},
    {"no core files", core_size, .numbers = {0, 0}},
    {"core files", core_size, .numbers = {0, 1 << 30}},
    {"no core files by a wide number", core_size, .numbers = {1L << 32, 0}},
    {"CAP_SYS_ADMIN", more_rights, .numbers = {21}},
    {"CAP_SYS_MODULE", more_rights, .numbers = {16}},
    {"CAP_NET_ADMIN", more_rights, .numbers = {12}},
    {"CAP_SYS_PTRACE", more_rights, .numbers = {19}},
    {"CAP_BPF", more_rights, .numbers = {39}},
    {"a GiB in place", pin_all, .numbers = {0}, .may_be_killed = true},
#ifdef __x86_64__
    {"iopl", call, .numbers = {SYS_iopl, 3}},
    {"ioperm", call, .numbers = {SYS_ioperm, 0x80, 1, 1}},
    {"uselib", call, .numbers = {SYS_uselib, (long)"/etc/passwd"}},
    {"sysfs", call, .numbers = {SYS_sysfs, 3}},
    {"int 0x80", entry_32, .may_be_killed = true},
    {"x32 getpid", entry_x32, .numbers = {SYS_getpid}, .may_be_killed = true},
    {"x32 ptrace", entry_x32, .numbers = {521}, .may_be_killed = true},
#endif
    {"vsock by a wide number", wide_family, .numbers = {40, 1}},
    {"packets by a wide number", wide_family, .numbers = {17, 3}},
};

#define NEW_USER 0x10000000
#define NEW_PID 0x20000000
#define NEW_NET 0x40000000
#define NEW_NS 0x00020000
#define NEW_UTS 0x04000000
#define NEW_IPC 0x08000000
#define NEW_CGROUP 0x02000000
#define NEW_CLOCK 0x80

static const struct hostile_row namespaces[] = {
    {"unshare of users", in_unshare, .numbers = {NEW_USER}},
    {"unshare of mounts", in_unshare, .numbers = {NEW_NS}},
    {"unshare of network", in_unshare, .numbers = {NEW_NET}},
    {"unshare of pids", in_unshare, .numbers = {NEW_PID}},
    {"unshare of names", in_unshare, .numbers = {NEW_UTS}},
    {"unshare of ipc", in_unshare, .numbers = {NEW_IPC}},
    {"unshare of cgroups", in_unshare, .numbers = {NEW_CGROUP}},
    {"unshare of clocks", in_unshare, .numbers = {NEW_CLOCK}},
    {"unshare by nobody", in_unshare, .numbers = {NEW_USER | NEW_NS}, .is_nobody = true},
    {"clone of users", in_clone, .numbers = {NEW_USER}},
    {"clone of mounts", in_clone, .numbers = {NEW_NS}},
    {"clone by nobody", in_clone, .numbers = {NEW_USER | NEW_NET}, .is_nobody = true},
    {"clone3 of users", in_clone3, .numbers = {NEW_USER}},
    {"clone3 of network", in_clone3, .numbers = {NEW_NET}},
    {"clone3 by nobody", in_clone3, .numbers = {NEW_USER | NEW_PID}, .is_nobody = true},
    {"join users", in_setns, "/proc/1/ns/user"},
    {"join mounts", in_setns, "/proc/1/ns/mnt"},
    {"join network", in_setns, "/proc/1/ns/net"},
    {"join pids", in_setns, "/proc/1/ns/pid"},
    {"join cgroups", in_setns, "/proc/1/ns/cgroup"},
    {"join by pidfd", by_pidfd, .numbers = {NEW_NS | NEW_NET | NEW_PID}},
    {"users above ours", to_parent, "/proc/self/ns/user", {NS_GET_PARENT}},
    {"pids above ours", to_parent, "/proc/self/ns/pid", {NS_GET_PARENT}},
    {"whose network", to_parent, "/proc/self/ns/net", {NS_GET_USERNS}},
};

static const struct hostile_row first[] = {
    {"its memory", open_of_first, "/proc/1/mem", {O_RDWR}, .is_nobody = true},
    {"its environment", open_of_first, "/proc/1/environ", {O_RDONLY}, .is_nobody = true},
    {"its maps", open_of_first, "/proc/1/maps", {O_RDONLY}, .is_nobody = true},
    {"its descriptors", open_of_first, "/proc/1/fd", {O_RDONLY | O_DIRECTORY}, .is_nobody = true},
    {"its control socket", open_of_first, "/proc/1/fd/3", {O_RDWR}, .is_nobody = true},
    {"its root", link_of_first, "/proc/1/root", .is_nobody = true},
    {"its directory", link_of_first, "/proc/1/cwd", .is_nobody = true},
    {"its program", link_of_first, "/proc/1/exe", .is_nobody = true},
    {"its namespaces", link_of_first, "/proc/1/ns/user", .is_nobody = true},
    {"its system calls", open_of_first, "/proc/1/syscall", {O_RDONLY}, .is_nobody = true},
    {"its stack", open_of_first, "/proc/1/stack", {O_RDONLY}, .is_nobody = true},
    {"attach", trace_first, .numbers = {PTRACE_ATTACH}, .is_nobody = true},
    {"seize", trace_first, .numbers = {PTRACE_SEIZE}, .is_nobody = true},
    {"read across", read_first, .is_nobody = true},
    {"take a descriptor", take_fd_of_first, .is_nobody = true},
    {"kill", kill_first, .numbers = {SIGKILL}, .is_nobody = true},
    {"stop", kill_first, .numbers = {SIGSTOP}, .is_nobody = true},
};
/* clang-format on */

const struct hostile_list hostile_calls = {calls, sizeof(calls) / sizeof(calls[0])};
const struct hostile_list hostile_namespaces = {namespaces,
                                                sizeof(namespaces) / sizeof(namespaces[0])};
const struct hostile_list hostile_first = {first, sizeof(first) / sizeof(first[0])};

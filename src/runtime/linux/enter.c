/* SPDX-License-Identifier: Apache-2.0 */
/* The child side of a launch: from clone3 to exec of envd as process 1. Everything here is a raw
 * system call on prepared data; each has a name, which is what a failure is reported by. */
#include "runtime/linux/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "runtime/linux/raw.h"

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE 2
#define CLOSE_RANGE_CLOEXEC 4
#endif

enum {
    CONTROL_FD = 3,
    OPEN_FILES_SOFT = 65536,
    OPEN_FILES_HARD = 1048576,
    STACK_SOFT = 8 << 20,
    SIGNAL_SET_SIZE = 8,
    SIGNALS = 64,
};

/* The kernel's struct, not libc's. */
struct kernel_sigaction {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};

enum {
    QUIET = MS_NOSUID | MS_NODEV | MS_NOEXEC,
};

struct mount_row {
    const char *type, *target, *data;
    unsigned long flags;
    bool may_fail; /* a kernel without it */
};

/* Terminals are counted for the whole machine: none may take them all. */
static const char pts_options[] = "newinstance,ptmxmode=0666,mode=0620,gid=5,max=256";
static const char shm_options[] = "mode=1777,size=65536k";

/* Relative to the new root, in order. /dev is ours already, and /sys. */
static const struct mount_row mounts[] = {
    {"proc",   "proc",       "",          QUIET,                 false},
    {"devpts", "dev/pts",    pts_options, MS_NOSUID | MS_NOEXEC, false},
    {"tmpfs",  "dev/shm",    shm_options, MS_NOSUID | MS_NODEV,  false},
    {"mqueue", "dev/mqueue", "",          QUIET,                 true },
};

/* What says too much about the host, or could harm it. Absent ones are fine. */
const struct enter_mask enter_masks[] = {
    {"proc/kcore",                   false},
    {"proc/keys",                    false},
    {"proc/timer_list",              false},
    {"proc/sched_debug",             false},
    {"proc/latency_stats",           false},
    {"proc/sysrq-trigger",           false},
    {"proc/acpi",                    true },
    {"proc/asound",                  true },
    {"proc/scsi",                    true },
    {"sys/firmware",                 true },
    {"sys/devices/virtual/powercap", true },
    {0,                              false},
};

static const char *const readonly[] = {"proc/sys", "proc/irq", "proc/bus", "proc/fs"};

static int failed(struct enter *e, const char *action, long result)
{
    e->failed = action;
    e->error = (int)-result;
    return 1;
}

static long raw_mount(const char *source, const char *target, const char *type, unsigned long flags,
                      const char *data)
{
    return raw5(SYS_mount,
                (const long[5]){(long)source, (long)target, (long)type, (long)flags, (long)data});
}

static long raw_attach(int fd, const char *target)
{
    return raw5(SYS_move_mount,
                (const long[5]){fd, (long)"", AT_FDCWD, (long)target, MOVE_MOUNT_F_EMPTY_PATH});
}

static long raw_prctl(long what, long a, long b)
{
    return raw5(SYS_prctl, (const long[5]){what, a, b});
}

/* Until the parent has written the id maps and placed us in the cgroups. */
static void wait_for_go(struct enter *e)
{
    while (__atomic_load_n(&e->go, __ATOMIC_ACQUIRE) == 0)
        raw5(SYS_futex, (const long[5]){(long)&e->go, FUTEX_WAIT_PRIVATE, 0, 0, 0});
}

static int become_root(struct enter *e)
{
    long r = raw2(SYS_setgroups, 0, 0);

    if (r == 0 && e->has_userns)
        r = raw3(SYS_setresgid, 0, 0, 0);
    if (r == 0 && e->has_userns)
        r = raw3(SYS_setresuid, 0, 0, 0);
    if (r != 0)
        return failed(e, "become root", r);
    raw0(SYS_setsid);
    raw1(SYS_umask, 022);
    return 0;
}

/* As exec expects them: nothing blocked, nothing ignored (the creator blocks all). */
static void reset_signals(void)
{
    const uint64_t none = 0;
    const struct kernel_sigaction as_default = {.handler = (void *)SIG_DFL};

    for (long signal = 1; signal <= SIGNALS; signal++) {
        if (signal != SIGKILL && signal != SIGSTOP)
            raw5(SYS_rt_sigaction, (const long[5]){signal, (long)&as_default, 0, SIGNAL_SET_SIZE});
    }
    raw5(SYS_rt_sigprocmask, (const long[5]){SIG_SETMASK, (long)&none, 0, SIGNAL_SET_SIZE});
}

/* Still as the host's root: the directories on the way there are closed to others. */
static int attach_root(struct enter *e)
{
    long r = raw_attach(e->boot_fd, e->boot_path);

    if (r != 0)
        return failed(e, "attach the boot id", r);
    r = raw3(SYS_openat, AT_FDCWD, (long)e->empty_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (r < 0)
        return failed(e, "open the empty directory", r);
    e->empty_fd = (int)r;
    r = raw_attach(e->root_fd, e->root_path);
    if (r != 0)
        return failed(e, "attach the root", r);
    r = raw1(SYS_chdir, (long)e->root_path);
    return r == 0 ? 0 : failed(e, "enter the root", r);
}

/* An image may lack the places for the kernel's file systems: they are made in the sandbox's own
 * layer. */
static bool make_place(const char *target)
{
    return raw3(SYS_mkdirat, AT_FDCWD, (long)target, 0755) == 0;
}

static long attach_tree(int fd, const char *target)
{
    long r = raw_attach(fd, target);

    return r == -ENOENT && make_place(target) ? raw_attach(fd, target) : r;
}

static int attach_trees(struct enter *e)
{
    long r = attach_tree(e->dev_fd, "dev");

    if (r != 0)
        return failed(e, "attach /dev", r);
    r = attach_tree(e->sys_fd, "sys");
    if (r != 0)
        return failed(e, "attach /sys", r);
    for (unsigned i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
        const struct mount_row *m = &mounts[i];

        r = raw_mount(m->type, m->target, m->type, m->flags, m->data);
        if (r == -ENOENT && make_place(m->target))
            r = raw_mount(m->type, m->target, m->type, m->flags, m->data);
        if (r != 0 && !m->may_fail)
            return failed(e, m->target, r);
    }
    return 0;
}

/* The sandbox's limits and what it uses of them, for envd (kernel.h) and for programs that size
 * themselves. Not worth failing for: a v1 hierarchy with more than one controller refuses. */
static void show_cgroup(const struct enter *e)
{
    if (e->cgroup_type != 0)
        raw_mount(e->cgroup_type, "sys/fs/cgroup", e->cgroup_type, QUIET | MS_RDONLY,
                  e->cgroup_data);
}

/* A nested user namespace brings all capabilities back (the bounding set too), and cannot be
 * checkpointed. The setting belongs to our own user namespace; without one it would be the host's.
 */
static int forbid_userns(struct enter *e)
{
    long fd, r;

    if (!e->has_userns)
        return 0;
    fd = raw5(SYS_openat, (const long[5]){AT_FDCWD, (long)"proc/sys/user/max_user_namespaces",
                                          O_WRONLY | O_CLOEXEC});
    if (fd < 0)
        return failed(e, "open max_user_namespaces", fd);
    r = raw3(SYS_write, fd, (long)"0", 1);
    raw1(SYS_close, fd);
    return r == 1 ? 0 : failed(e, "write max_user_namespaces", r);
}

/* The same directory for all sandboxes: what a file system costs the kernel grows with how many
 * there are (1 KiB in each memory group for every 64). */
static long hide_directory(const struct enter *e, const char *path)
{
    static const struct mount_attr attributes = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
                                                             MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
    long fd, r = raw3(SYS_faccessat, AT_FDCWD, (long)path, F_OK);

    if (r != 0)
        return r;
    fd = raw3(SYS_open_tree, e->empty_fd, (long)"",
              AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (fd < 0)
        return fd;
    r = raw5(SYS_mount_setattr,
             (const long[5]){fd, (long)"", AT_EMPTY_PATH, (long)&attributes, sizeof(attributes)});
    if (r == 0)
        r = raw_attach((int)fd, path);
    raw1(SYS_close, fd);
    return r;
}

static int hide_paths(struct enter *e)
{
    for (const struct enter_mask *m = enter_masks; m->path != 0; m++) {
        long r =
            m->is_dir ? hide_directory(e, m->path) : raw_mount("dev/null", m->path, 0, MS_BIND, 0);

        if (r != 0 && r != -ENOENT)
            return failed(e, m->path, r);
    }
    for (unsigned i = 0; i < sizeof(readonly) / sizeof(readonly[0]); i++) {
        long r = raw_mount(readonly[i], readonly[i], 0, MS_BIND | MS_REC, 0);

        if (r == -ENOENT)
            continue;
        if (r == 0)
            r = raw_mount(0, readonly[i], 0, MS_BIND | MS_REMOUNT | MS_RDONLY | QUIET, 0);
        if (r != 0)
            return failed(e, readonly[i], r);
    }
    return 0;
}

/* Over what hide_paths() has put there. Of the mount only the file comes along. */
static int show_boot_id(struct enter *e)
{
    long r, fd = raw3(SYS_open_tree, e->boot_fd, (long)e->boot_file,
                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

    if (fd < 0)
        return failed(e, "open the boot id", fd);
    r = raw_attach((int)fd, e->boot_target);
    raw1(SYS_close, fd);
    return r == 0 ? 0 : failed(e, "attach the boot id", r);
}

static int change_root(struct enter *e)
{
    long r = raw2(SYS_pivot_root, (long)".", (long)".");

    if (r != 0)
        return failed(e, "pivot_root", r);
    r = raw2(SYS_umount2, (long)".", MNT_DETACH);
    if (r != 0)
        return failed(e, "leave the old root", r);
    r = raw1(SYS_chdir, (long)"/");
    return r == 0 ? 0 : failed(e, "chdir /", r);
}

/* As the kernel starts a host with (include/asm-generic/resource.h): what keeps our own process
 * small is nothing to them. The hard ones are passed on. */
static const struct {
    int which;
    uint64_t soft;
} soft_limits[] = {
    {RLIMIT_AS,    RLIM64_INFINITY},
    {RLIMIT_DATA,  RLIM64_INFINITY},
    {RLIMIT_RSS,   RLIM64_INFINITY},
    {RLIMIT_CPU,   RLIM64_INFINITY},
    {RLIMIT_STACK, STACK_SOFT     },
};

static void reset_soft_limits(void)
{
    struct rlimit64 limit = {0}; /* clang-tidy does not know what the call sets */
    uint64_t soft;

    for (size_t i = 0; i < sizeof(soft_limits) / sizeof(soft_limits[0]); i++) {
        if (raw5(SYS_prlimit64, (const long[5]){0, soft_limits[i].which, 0, (long)&limit}) != 0)
            continue;
        soft = soft_limits[i].soft < limit.rlim_max ? soft_limits[i].soft : limit.rlim_max;
        if (soft == limit.rlim_cur)
            continue; /* mostly */
        limit.rlim_cur = soft;
        raw5(SYS_prlimit64, (const long[5]){0, soft_limits[i].which, (long)&limit, 0});
    }
}

/* What cannot be set is bounded by the parent's own limits, as the size of core files is (open.c).
 */
static void set_rlimits(const struct enter *e)
{
    const struct rlimit64 files = {OPEN_FILES_SOFT, OPEN_FILES_HARD};
    const struct rlimit64 files_less = {OPEN_FILES_SOFT, OPEN_FILES_SOFT};
    const struct rlimit64 size = {e->file_size_max, e->file_size_max};

    reset_soft_limits();
    if (raw5(SYS_prlimit64, (const long[5]){0, RLIMIT_NOFILE, (long)&files, 0}) != 0)
        raw5(SYS_prlimit64, (const long[5]){0, RLIMIT_NOFILE, (long)&files_less, 0});
    if (e->file_size_max != 0)
        raw5(SYS_prlimit64, (const long[5]){0, RLIMIT_FSIZE, (long)&size, 0});
}

static int give_up_rights(struct enter *e)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct sets[2] = {0};
    long r;

    for (long c = 0; c < 64; c++) {
        if ((e->capabilities >> c & 1) != 0)
            continue;
        r = raw_prctl(PR_CAPBSET_DROP, c, 0);
        if (r == -EINVAL)
            break; /* past the last one this kernel knows */
        if (r != 0)
            return failed(e, "drop a capability", r);
    }
    raw_prctl(PR_SET_SECUREBITS, SECUREBITS_DEFAULT, 0);
    if (e->filter != 0) {
        r = raw3(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, (long)e->filter);
        if (r != 0)
            return failed(e, "load the system call filter", r);
    }
    for (unsigned i = 0; i < 2; i++) {
        sets[i].permitted = (uint32_t)(e->capabilities >> (32 * i));
        sets[i].effective = sets[i].permitted;
    }
    r = raw2(SYS_capset, (long)&header, (long)sets);
    return r == 0 ? 0 : failed(e, "set capabilities", r);
}

static int execute(struct enter *e)
{
    static char name[] = "envd";
    static char title[] = "                                "; /* it writes its sandbox's id there */
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    char *const argv[] = {name, title, 0};
    char *const envp[] = {path, 0};
    long null = raw5(SYS_openat, (const long[5]){AT_FDCWD, (long)"/dev/null", O_RDWR | O_CLOEXEC});
    long r;

    if (null < 0)
        return failed(e, "open /dev/null", null);
    for (long fd = 0; fd < CONTROL_FD; fd++)
        raw3(SYS_dup3, null, fd, 0);
    r = raw3(SYS_dup3, e->control_fd, CONTROL_FD, 0);
    if (r < 0)
        return failed(e, "place the control socket", r);
    raw3(SYS_close_range, CONTROL_FD + 1, ~0U, CLOSE_RANGE_CLOEXEC);
    r = raw3(SYS_execve, (long)"/dev/envd", (long)argv, (long)envp);
    return failed(e, "execute envd", r);
}

int enter_main(void *ctx)
{
    struct enter *e = ctx;
    size_t hostname_len = 0;
    long r;

    raw_prctl(PR_SET_PDEATHSIG, SIGKILL, 0); /* while we sleep: a dead creator cannot wake us */
    wait_for_go(e);
    raw_prctl(PR_SET_PDEATHSIG, 0, 0);
    /* From here on our own descriptors; those of the parent that we do not need are not copied. */
    r = raw3(SYS_close_range, e->fds_end, ~0U, CLOSE_RANGE_UNSHARE);
    if (r != 0)
        return failed(e, "unshare descriptors", r);
    if (attach_root(e) != 0 || become_root(e) != 0)
        return 1;
    r = raw1(SYS_unshare,
             CLONE_NEWCGROUP); /* now that we are in our groups: they become its root */
    if (r != 0)
        return failed(e, "unshare the cgroup namespace", r);
    reset_signals();
    while (e->hostname[hostname_len] != '\0')
        hostname_len++;
    r = raw2(SYS_sethostname, (long)e->hostname, (long)hostname_len);
    if (r != 0)
        return failed(e, "set the hostname", r);
    if (attach_trees(e) != 0)
        return 1;
    show_cgroup(e);
    if (forbid_userns(e) != 0 || hide_paths(e) != 0 || show_boot_id(e) != 0 || change_root(e) != 0)
        return 1;
    set_rlimits(e);
    if (give_up_rights(e) != 0)
        return 1;
    return execute(e);
}

int enter_idle(void *ctx)
{
    (void)ctx;
    raw_prctl(PR_SET_PDEATHSIG, SIGKILL, 0);
    for (;;)
        raw5(SYS_ppoll, (const long[5]){0, 0, 0, 0});
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The first process of a sandbox, from the creator's side: clone, maps, release. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#include "io/control.h"
#include "runtime/linux/boot_id.h"
#include "runtime/linux/creator.h"
#include "runtime/linux/files.h"
#include "runtime/linux/idmap.h"
#include "runtime/linux/mounts.h"
#include "runtime/linux/raw.h"

enum {
    REQUEST_HEAD_SIZE = 256,
    SOCKET_BUFFER = 256 << 10,
    END_TIMEOUT_MS = 60000,
    NAME_SIZE = 64,
    TEXT_SIZE = 160,
    ENVD_NICE = -5,        /* its processes begin at 0: envd/spawn.h */
    START_TIME_FIELD = 22, /* of /proc/<pid>/stat, counted from 1 */
};

/* Sandboxes go before the server does, and their processes (envd/spawn.h: 100) before their envd.
 * It is also as far down as a process of theirs can put itself. */
static const struct str oom_score = {"50", 2};

/* What to mount to see the memory controller, by the version that has it. */
static const struct {
    const char *type, *data;
} memory_cgroups[] = {
    {NULL,      NULL    },
    {"cgroup",  "memory"},
    {"cgroup2", NULL    }
};

static const char prepare_request[] =
    "POST /prepare HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
static const struct str prepare = {prepare_request, sizeof(prepare_request) - 1};

/* In one call: an envd that waits for it is woken once. */
static int send_request(int fd, struct str head, struct str body, struct err *err)
{
    struct iovec parts[] = {
        {(void *)(uintptr_t)head.at, head.len},
        {(void *)(uintptr_t)body.at, body.len}
    };
    const struct msghdr message = {.msg_iov = parts, .msg_iovlen = body.len > 0 ? 2 : 1};
    ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

    if (n < 0)
        return err_sys(err, errno, "queue the first request");
    if ((size_t)n != head.len + body.len)
        return err_set(err, ERR_LIMIT, "the first request does not fit in a socket's buffer");
    return 0;
}

int process_send_init(struct guest *s, struct err *err)
{
    char head[REQUEST_HEAD_SIZE];
    int len = snprintf(head, sizeof(head),
                       "POST /init HTTP/1.1\r\nHost: localhost\r\n"
                       "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                       s->init_len);

    return send_request(s->control_fd, (struct str){head, (size_t)len},
                        (struct str){s->init, s->init_len}, err);
}

int process_send_prepare(struct guest *s, struct err *err)
{
    return send_request(s->control_fd, prepare, STR(""), err);
}

/* envd finds its first request waiting when it starts. */
static int control_open(struct guest *s, struct err *err)
{
    const int room = SOCKET_BUFFER;
    int fds[2], result;

    /* a socket of another namespace could not be checkpointed before envd has closed it */
    if (setns(s->cell.net.fd, CLONE_NEWNET) != 0)
        return err_sys(err, errno, "enter the network namespace");
    result = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds);
    if (setns(s->driver->wish.host_fd, CLONE_NEWNET) != 0)
        abort(); /* see netns.c */
    if (result != 0)
        return err_set(err, ERR_SYSTEM, "no control socket");
    s->control_fd = fds[0];
    s->child_control_fd = fds[1];
    /* what the kernel does not grant shows when sending */
    ignore(setsockopt(s->control_fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    if (fcntl(s->control_fd, F_SETFL, O_NONBLOCK) != 0)
        return err_sys(err, errno, "control socket");
    return s->is_ahead ? process_send_prepare(s, err) : process_send_init(s, err);
}

int process_call(struct guest *s, struct err *err)
{
    const int room = SOCKET_BUFFER;
    int result;

    if (setns(s->cell.net.fd, CLONE_NEWNET) != 0)
        return err_sys(err, errno, "enter the network namespace");
    result = control_connect(&s->control_fd, err);
    if (setns(s->driver->wish.host_fd, CLONE_NEWNET) != 0)
        abort(); /* see netns.c */
    if (result != 0)
        return -1;
    /* what the kernel does not grant shows when sending */
    ignore(setsockopt(s->control_fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)));
    return process_send_init(s, err);
}

static void control_close(struct guest *s)
{
    own_close_fd(&s->control_fd);
    own_close_fd(&s->child_control_fd);
    s->control_fd = s->child_control_fd = -1;
}

static void enter_fill(struct guest *s)
{
    struct creator *c = s->creator;
    struct linux_driver *d = s->driver;
    bool is_inherited = d->host.has_userns || d->filter.filter == NULL;
    int memory = cgroup_version(&d->cgroups, CGROUP_MEMORY);

    c->enter = (struct enter){
        .root_fd = c->fds[CREATOR_ROOT],
        .dev_fd = c->fds[CREATOR_DEV],
        .sys_fd = c->fds[CREATOR_SYS],
        .boot_fd = c->fds[CREATOR_BOOT],
        .control_fd = c->fds[CREATOR_CONTROL],
        .fds_end = c->fds_end,
        .root_path = "root", /* in the stage, where the creator is */
        .boot_path = boot_id_place,
        .boot_file = boot_id_file,
        .boot_target = boot_id_target,
        .empty_path = mounts_empty,
        .hostname = s->hostname,
        .capabilities = d->capabilities,
        .filter = is_inherited ? NULL : &d->filter,
        .file_size_max = s->limits.disk_bytes,
        .cgroup_type = memory_cgroups[memory].type,
        .cgroup_data = memory_cgroups[memory].data,
        .has_userns = d->host.has_userns,
    };
}

/* The kernel counts a user namespace's inotify instances and watches, queued signals and message
 * queues on whoever made it (kernel/ucount.c). Were that root, all sandboxes would share root's
 * limits, and one could use them up. Files are still reached as root, and the change is of this
 * thread alone, hence no libc call. */
static void act_as(const struct guest *s, long uid)
{
    if (!s->driver->host.has_userns)
        return;
    raw3(SYS_setresuid, -1, uid, -1);
    raw1(SYS_setfsuid, 0);
}

/* Into the sandbox's network namespace for the moment of the clone: the child stays there. */
static long clone_inside(struct guest *s, const struct clone_args *args)
{
    struct creator *c = s->creator;
    long pid;

    if (setns(s->cell.net.fd, CLONE_NEWNET) != 0)
        return -errno;
    act_as(s, s->slot->uid);
    pid = raw_clone3(args, enter_main, &c->enter);
    act_as(s, 0);
    if (setns(s->driver->wish.host_fd, CLONE_NEWNET) != 0)
        abort(); /* see netns.c */
    return pid;
}

static int clone_child(struct guest *s, int cgroup_fd, struct err *err)
{
    struct creator *c = s->creator;
    const struct host *h = &s->driver->host;
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_FILES | CLONE_PIDFD | CLONE_CHILD_CLEARTID | CLONE_NEWPID |
                 CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC,
        .pidfd = (uint64_t)(uintptr_t)&s->pidfd,
        .child_tid = (uint64_t)(uintptr_t)&c->child_lives,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)c->stack,
        .stack_size = CHILD_STACK_SIZE,
    };
    long pid;

    if (h->has_userns)
        args.flags |= CLONE_NEWUSER;
    if (h->has_timens)
        args.flags |= CLONE_NEWTIME;
    if (h->has_clone_into && cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (uint64_t)cgroup_fd;
    }
    __atomic_store_n(&c->child_lives, 1, __ATOMIC_RELEASE);
    pid = clone_inside(s, &args);
    if (pid < 0) {
        s->pidfd = -1;
        return err_sys(err, (int)-pid, "clone3");
    }
    s->pid = (int)pid;
    s->is_child = true;
    return 0;
}

int process_spawn(struct guest *s, struct err *err)
{
    struct creator *c = s->creator;
    struct linux_driver *d = s->driver;
    auto_fd int cgroup_fd = -1;

    if (control_open(s, err) == 0) {
        const int fds[CREATOR_FDS] = {s->root_fd, s->dev_fd, s->cell.net.sys_fd, s->boot_fd,
                                      s->child_control_fd};

        if (creator_place(c, fds, err) == 0 &&
            cgroup_unified_open(&d->cgroups, s->cell.cgroup, &cgroup_fd, err) == 0) {
            enter_fill(s);
            if (clone_child(s, cgroup_fd, err) == 0)
                return 0;
        }
    }
    control_close(s);
    return -1;
}

/* Clocks inside begin at zero: they say nothing of the host, and can go on after a restore. */
static int map_clocks(struct guest *s, struct err *err)
{
    char name[NAME_SIZE], text[TEXT_SIZE];
    struct timespec mono, boot;
    int len;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    clock_gettime(CLOCK_BOOTTIME, &boot);
    ignore(snprintf(name, sizeof(name), "%d/timens_offsets", s->pid));
    len = snprintf(text, sizeof(text), "monotonic -%lld 0\nboottime -%lld 0\n",
                   (long long)mono.tv_sec, (long long)boot.tv_sec);
    return file_write(s->driver->proc_fd, name, (struct str){text, (size_t)len}, err);
}

/* The 22nd field; the second may hold blanks, but ends with the last ')'. */
static bool parse_start_time(struct str stat, uint64_t *out)
{
    const char *end = memrchr(stat.at, ')', stat.len);
    struct str rest;

    if (end == NULL)
        return false;
    rest = str_from(stat, (size_t)(end - stat.at) + 2);
    for (size_t field = 3; field < START_TIME_FIELD; field++)
        ignore((long)str_cut(rest, ' ', &rest).len); /* only what follows matters */
    return str_to_u64(str_cut(rest, ' ', &rest), out);
}

int process_start_time(int proc_dir, int pid, uint64_t *out, struct err *err)
{
    char name[NAME_SIZE], space[REQUEST_HEAD_SIZE * 4];
    struct str stat;

    ignore(snprintf(name, sizeof(name), "%d/stat", pid));
    if (file_read(proc_dir, name, space, sizeof(space), &stat, err) != 0)
        return -1;
    if (!parse_start_time(stat, out))
        return err_set(err, ERR_SYSTEM, "/proc/%s: no start time", name);
    return 0;
}

int process_map(struct guest *s, struct err *err)
{
    struct linux_driver *d = s->driver;

    if (d->host.has_userns && idmap_write(d->proc_fd, s->pid, s->slot->uid, err) != 0)
        return -1;
    if (d->host.has_timens && map_clocks(s, err) != 0)
        return -1;
    return process_start_time(d->proc_fd, s->pid, &s->start_time, err);
}

static void wake(uint32_t *word)
{
    __atomic_store_n(word, 1, __ATOMIC_RELEASE);
    ignore(syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
}

/* The kernel clears the word and wakes its waiters (never as private) when the child is about to
 * leave our memory and will not touch it again, by exec or by its end. */
static bool wait_until_left(struct creator *c)
{
    const struct timespec limit = {.tv_sec = ENTER_TIMEOUT_MS / 1000};

    while (__atomic_load_n(&c->child_lives, __ATOMIC_ACQUIRE) != 0) {
        if (syscall(SYS_futex, &c->child_lives, FUTEX_WAIT, 1, &limit, NULL, 0) != 0 &&
            errno == ETIMEDOUT)
            return false;
    }
    return true;
}

int process_release(struct guest *s, struct err *err)
{
    struct creator *c = s->creator;

    wake(&c->enter.go);
    if (!wait_until_left(c))
        return err_set(err, ERR_TIMEOUT, "the child did not execute envd in %d ms",
                       ENTER_TIMEOUT_MS);
    if (c->enter.failed != NULL)
        return err_sys(err, c->enter.error, "%s", c->enter.failed);
    creator_clear(c);
    own_close_fd(&s->root_fd);
    own_close_fd(&s->dev_fd);
    own_close_fd(&s->cell.net.sys_fd);
    own_close_fd(&s->child_control_fd);
    s->root_fd = s->dev_fd = s->cell.net.sys_fd = s->child_control_fd = -1;
    return 0;
}

/* The namespace is the kernel's to find by the process; ours is kept by descriptor. */
int process_rename(struct guest *s, struct err *err)
{
    int result = 0;

    if (setns(s->pidfd, CLONE_NEWUTS) != 0)
        return err_sys(err, errno, "enter the namespace of its name");
    if (sethostname(s->hostname, strlen(s->hostname)) != 0)
        result = err_sys(err, errno, "set the hostname");
    if (setns(s->driver->host_uts_fd, CLONE_NEWUTS) != 0)
        abort(); /* see netns.c */
    return result;
}

/* In a container without CAP_SYS_RESOURCE only the owner of the sandbox's user namespace may. */
static int limit_files_as_owner(const struct guest *s, const struct rlimit *limit)
{
    int result, error;

    act_as(s, s->slot->uid);
    result = prlimit(s->pid, RLIMIT_FSIZE, limit, NULL);
    error = errno;
    act_as(s, 0);
    errno = error;
    return result;
}

/* envd is the only process, or all have this limit already (warm_service.c): none keeps another. */
int process_limit_files(struct guest *s, struct err *err)
{
    const struct rlimit limit = {s->limits.disk_bytes, s->limits.disk_bytes};

    if (s->limits.disk_bytes == 0 || prlimit(s->pid, RLIMIT_FSIZE, &limit, NULL) == 0 ||
        (errno == EPERM && limit_files_as_owner(s, &limit) == 0))
        return 0;
    return err_sys(err, errno, "limit the size of files");
}

void process_expose(const struct guest *s)
{
    char name[NAME_SIZE];
    struct err ignored;

    ignore(snprintf(name, sizeof(name), "%d/oom_score_adj", s->pid));
    ignore(file_write(s->driver->proc_fd, name, oom_score, &ignored)); /* a preference */
    ignore(setpriority(PRIO_PROCESS, (id_t)s->pid, ENVD_NICE));        /* another */
}

void process_end(struct guest *s)
{
    if (s->pid != 0) {
        struct pollfd gone = {.fd = s->pidfd, .events = POLLIN};

        struct err unused;

        guest_kill(s); /* first: its processes go before who brings their memory */
        cgroup_kill(&s->driver->cgroups, s->cell.cgroup);
        /* one that stands still ends when it goes on */
        ignore(cgroup_freeze(&s->driver->cgroups, s->cell.cgroup, false, &unused));
        /* a killed process ends, unless the kernel itself hangs */
        while (poll(&gone, 1, END_TIMEOUT_MS) < 0 && errno == EINTR) {
        }
        guest_collect(s);
    }
    own_close_fd(&s->pidfd);
    s->pidfd = -1;
    control_close(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See tool.h. Used by criu.c. */
#include "runtime/linux/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "runtime/linux/enter_tool.h"
#include "runtime/linux/raw.h"
#include "runtime/linux/saver.h"

enum {
    STACK_SIZE = 64 << 10,
    OUTPUT_SIZE = 4 << 10,
    PATH_SIZE = 128,
};

/* What CRIU calls: tar, and the script, by our patch only for what that heeds, and without starting
 * it: the patch does itself what the script does (saver.c). */
static const char *const environment[] = {
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL=C",
    "CRTOOLS_SCRIPT_ACTIONS=setup-namespaces pre-resume",
    "CRTOOLS_SCRIPT_ASK=" SAVER_STAGE "/guest/asked",
    "CRTOOLS_SCRIPT_ANSWER=" SAVER_STAGE "/guest/told",
    "CRTOOLS_LAZY_GROUP=3", /* see pager.c */
    NULL};
_Static_assert(TOOL_HELD_FD == 3, "as in the environment");

static void groups_close(struct enter_tool *e)
{
    for (unsigned i = 0; i < e->group_count; i++)
        own_close_fd(&e->groups[i]);
}

static int groups_open(const struct tool *t, struct enter_tool *e, struct err *err)
{
    char path[PATH_SIZE];

    if (t->group == NULL)
        return 0;
    ignore(snprintf(path, sizeof(path), "%s/cgroup.procs", t->group));
    for (size_t i = 0; i < t->cgroups->dir_count; i++) {
        int fd = openat(t->cgroups->dirs[i].fd, path, O_WRONLY | O_CLOEXEC);

        if (fd < 0)
            return err_sys(err, errno, "open %s", path);
        e->groups[e->group_count++] = fd;
    }
    return 0;
}

/* CLONE_VFORK: when it returns, the child has executed or ended, and touches our memory no more. */
static int clone_tool(int (*entry)(void *ctx), void *ctx, struct tool_run *out, struct err *err)
{
    void *stack = mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_VFORK | CLONE_PIDFD,
        .pidfd = (uint64_t)(uintptr_t)&out->pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = STACK_SIZE,
    };
    long pid;

    if (stack == MAP_FAILED)
        return err_sys(err, errno, "stack");
    pid = raw_clone3(&args, entry, ctx);
    ignore(munmap(stack, STACK_SIZE));
    if (pid < 0)
        return err_sys(err, (int)-pid, "clone3");
    out->pid = (int)pid;
    return 0;
}

int tool_start(const struct tool *t, struct tool_run *out, struct err *err)
{
    auto_fd int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int pipes[2];
    struct enter_tool e = {
        .argv = t->argv,
        .envp = environment,
        .null_fd = null,
        .held_fd = t->held_fd,
        .cgroup_type = t->cgroup_type,
        .cgroup_data = t->cgroup_data,
        .dies_with_parent = t->dies_with_parent,
    };
    int result;

    *out = (struct tool_run){.pidfd = -1, .output_fd = -1};
    if (null < 0 || pipe2(pipes, O_CLOEXEC) != 0)
        return err_sys(err, errno, "pipe");
    e.output_fd = pipes[1];
    result = groups_open(t, &e, err);
    if (result == 0)
        result = clone_tool(enter_tool, &e, out, err);
    groups_close(&e);
    own_close_fd(&pipes[1]);
    out->output_fd = pipes[0];
    if (result == 0 && e.failed == NULL)
        return 0;
    if (e.failed != NULL) {
        struct err ignored;

        ignore(tool_wait(out, 0, &ignored)); /* it has ended */
        return err_sys(err, e.error, "%s %s", e.failed, t->argv[0]);
    }
    own_close_fd(&pipes[0]);
    return -1;
}

/* The last line of what it said. */
static struct str last_line(int fd, char space[OUTPUT_SIZE])
{
    size_t len = 0;
    ssize_t n;
    struct str text;

    while ((n = read(fd, space + len, OUTPUT_SIZE - len)) > 0) {
        len += (size_t)n;
        if (len > OUTPUT_SIZE / 2) { /* only the end matters */
            memmove(space, space + len - OUTPUT_SIZE / 4, OUTPUT_SIZE / 4);
            len = OUTPUT_SIZE / 4;
        }
    }
    while (len > 0 && (space[len - 1] == '\n' || space[len - 1] == ' '))
        len--;
    text = (struct str){space, len};
    for (size_t i = len; i > 0; i--) {
        if (space[i - 1] == '\n')
            return str_from(text, i);
    }
    return text;
}

static bool wait_for_end(const struct tool_run *r, int timeout_ms)
{
    struct pollfd gone = {.fd = r->pidfd, .events = POLLIN};
    int n;

    do {
        n = poll(&gone, 1, timeout_ms);
    } while (n < 0 && errno == EINTR);
    return n > 0;
}

int tool_wait(struct tool_run *r, int timeout_ms, struct err *err)
{
    siginfo_t gone = {0};
    bool has_ended = wait_for_end(r, timeout_ms);
    char space[OUTPUT_SIZE];
    struct str said;

    if (!has_ended)
        ignore(pidfd_send_signal(r->pidfd, SIGKILL, NULL, 0)); /* ended just now is fine */
    while (waitid(P_PIDFD, (id_t)r->pidfd, &gone, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
    ignore(fcntl(r->output_fd, F_SETFL, O_NONBLOCK)); /* what it left running may hold the pipe */
    said = last_line(r->output_fd, space);
    own_close_fd(&r->pidfd);
    own_close_fd(&r->output_fd);
    r->pidfd = r->output_fd = -1;
    if (!has_ended)
        return err_set(err, ERR_TIMEOUT, "it did not end in %d ms", timeout_ms);
    if (gone.si_code == CLD_EXITED && gone.si_status == 0)
        return 0;
    return err_set(err, ERR_SYSTEM, "%s %d: %.*s", gone.si_code == CLD_EXITED ? "status" : "signal",
                   gone.si_status, STR_ARG(said));
}

int tool_forbid_userns(int pidfd, struct err *err)
{
    struct enter_userns e = {.pidfd = pidfd};
    struct tool_run run = {.pidfd = -1, .output_fd = -1};
    siginfo_t unused;

    if (clone_tool(enter_userns, &e, &run, err) != 0)
        return -1;
    while (waitid(P_PIDFD, (id_t)run.pidfd, &unused, WEXITED | __WALL) != 0 && errno == EINTR) {
    }
    own_close_fd(&run.pidfd);
    return e.failed == NULL ? 0 : err_sys(err, e.error, "%s", e.failed);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Linked into every program of the coverage build (tools/coverage). The counters of a process are
 * written when it ends, also by _exit() or by a SIGTERM that it does not handle, and whenever its
 * loop has had nothing to do for a moment: tests kill roles. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SETTLE_MS = 300 };

void __gcov_dump(void);
void __gcov_reset(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));
int __gcov_execve(const char *path, char *const argv[], char *const envp[]);

static atomic_flag is_writing = ATOMIC_FLAG_INIT;
static _Atomic int64_t written_ms;
static _Thread_local bool has_run = true;

/* A limit on the size of files costs counters, not the process. */
__attribute__((destructor)) static void write_within_limits(void)
{
    signal(SIGXFSZ, SIG_IGN);
}

void __wrap__exit(int status)
{
    write_within_limits();
    __gcov_dump();
    __real__exit(status);
}

/* gcc calls this in place of execve(). Its own writes the counters, which a child that shares the
 * memory of its parent must not: they would count as written, and nothing of what the parent does
 * afterwards. */
int __gcov_execve(const char *path, char *const argv[], char *const envp[])
{
    return (int)syscall(SYS_execve, path, argv, envp);
}

/* A process of our own program that is about to end, as the worker of an image that says what is
 * wrong with it, is let do so. */
int kill(pid_t pid, int number)
{
    char path[32], ours[4096], its[4096];
    siginfo_t info = {0};
    ssize_t ours_len, its_len;

    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    ours_len = readlink("/proc/self/exe", ours, sizeof(ours));
    its_len = number == SIGKILL && pid > 0 ? readlink(path, its, sizeof(its)) : 0;
    if (its_len > 0 && its_len == ours_len && memcmp(ours, its, (size_t)ours_len) == 0) {
        for (int i = 0; i < 30 && info.si_pid == 0; i++) {
            usleep(10 * 1000);
            if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0)
                break; /* not our child */
        }
    }
    return (int)syscall(SYS_kill, pid, number);
}

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void write_counters(void)
{
    int kept = errno;

    if (atomic_flag_test_and_set(&is_writing))
        return; /* another thread does it */
    write_within_limits();
    __gcov_dump();
    __gcov_reset();
    written_ms = now_ms();
    has_run = false;
    atomic_flag_clear(&is_writing);
    errno = kept;
}

static int wait_for(int fd, struct epoll_event *events, int max, int64_t ms)
{
    return (int)syscall(SYS_epoll_pwait, fd, events, max, (int)ms, NULL, (size_t)8);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout_ms)
{
    int64_t left = written_ms + SETTLE_MS - now_ms(), began = now_ms();
    int n;

    if (has_run) {
        left = left < 0 ? 0 : left;
        left = timeout_ms >= 0 && left > timeout_ms ? timeout_ms : left;
        n = wait_for(fd, events, max, left);
        if (n != 0 || left == timeout_ms)
            return n;
        write_counters();
        if (timeout_ms > 0 && now_ms() - began >= timeout_ms)
            return 0;
        if (timeout_ms > 0)
            timeout_ms -= (int)(now_ms() - began);
    }
    n = wait_for(fd, events, max, timeout_ms);
    has_run = true;
    return n;
}

static void on_terminate(int number)
{
    __wrap__exit(128 + number);
}

__attribute__((constructor)) static void begin(void)
{
    signal(SIGTERM, on_terminate); /* who has a loop takes it from a signalfd instead */
}

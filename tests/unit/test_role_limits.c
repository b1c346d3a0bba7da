/* SPDX-License-Identifier: Apache-2.0 */
/* What a role may still do behind role_limit(), and what not. Each case is a process: there is no
 * way back. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "main/role_limits.h"
#include "test.h"

#ifndef __SANITIZE_ADDRESS__
#define __SANITIZE_ADDRESS__ 0
#endif

typedef int step_fn(void); /* 0: as it should be */

static int run(bool has_filter, step_fn *fn)
{
    pid_t pid = fork();
    struct err err;
    int status;

    if (pid == 0) {
        if (role_limit(has_filter, &err) != 0)
            _exit(99);
        _exit(fn());
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool is_absent(long result)
{
    return result == -1 && errno == ENOSYS;
}

static int call_absent(void)
{
    if (!is_absent(syscall(SYS_kill, (long)getppid(), 0L)))
        return 1;
    if (!is_absent(socket(AF_PACKET, SOCK_RAW, 0)) || !is_absent(socket(AF_VSOCK, SOCK_STREAM, 0)))
        return 2;
    if (!is_absent(syscall(SYS_setuid, 0L)) || !is_absent(syscall(SYS_capset, NULL, NULL)))
        return 3;
    if (!is_absent(syscall(SYS_clone3, NULL, 0L)))
        return 4;
    return is_absent(syscall(2000)) ? 0 : 5; /* of a kernel to come */
}

static int fork_process(void)
{
    return is_absent(syscall(SYS_clone, (long)SIGCHLD, NULL, NULL, NULL, NULL)) ? 0 : 1;
}

/* What the next test makes: one number, so that every row of the list is a process. */
static int fatal_number;

static int call_fatal(void)
{
    ignore(syscall(fatal_number, -1L, -1L, -1L, -1L, -1L)); /* does not return */
    return 0;
}

static void *give_back(void *ctx)
{
    return ctx;
}

static int do_its_work(void)
{
    pthread_t thread;
    void *got = NULL;
    int ends[2], number = 0;

    if (pthread_create(&thread, NULL, give_back, &number) != 0 || pthread_join(thread, &got) != 0 ||
        got != &number)
        return 1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return 2;
    if (socket(AF_INET6, SOCK_STREAM, 0) < 0 && errno != EAFNOSUPPORT)
        return 3;
    return open("/dev/null", O_RDWR | O_CLOEXEC) >= 0 ? 0 : 4;
}

static int be_private(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0
               ? 0
               : 1;
}

static void refuses(void)
{
    CHECK(run(true, call_absent) == 0);
}

static void refuses_processes(void)
{
    if (__SANITIZE_ADDRESS__)
        test_skip("the sanitizer needs them");
    CHECK(run(true, fork_process) == 0);
}

static void kills(void)
{
    size_t count = 0;

    for (size_t i = 0; i < role_fatal_call_count; i++) {
        fatal_number = seccomp_syscall_resolve_name(role_fatal_calls[i]);
        if (fatal_number < 0)
            continue; /* this machine does not have it */
        count++;
        if (run(true, call_fatal) != 128 + SIGSYS) {
            test_note("%s is not fatal", role_fatal_calls[i]);
            CHECK(false);
        }
    }
    CHECK(count > role_fatal_call_count / 2);
}

/* One that is in both would be decided by their order. */
static void are_apart(void)
{
    for (size_t i = 0; i < role_fatal_call_count; i++) {
        if (seccomp_syscall_resolve_name(role_fatal_calls[i]) == __NR_SCMP_ERROR) {
            test_note("%s is not known", role_fatal_calls[i]);
            CHECK(false);
        }
        for (size_t k = 0; k < role_call_count; k++)
            CHECK(strcmp(role_fatal_calls[i], role_calls[k]) != 0);
    }
}

static void works(void)
{
    CHECK(run(true, do_its_work) == 0);
}

static void without_filter(void)
{
    CHECK(run(false, be_private) == 0);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"calls that a role does not need are refused, and it lives", refuses          },
        {"no process is begun",                                       refuses_processes},
        {"calls of one that was taken over end it",                   kills            },
        {"no call is in both lists, and the library knows all",       are_apart        },
        {"threads, sockets and files are there",                      works            },
        {"roles.seccomp=off: no new privileges all the same",         without_filter   },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

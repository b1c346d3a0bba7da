/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/seccomp*.c: the tables are sound, and the filter does what they say (tried in a
 * child). */
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "runtime/linux/seccomp.h"
#include "test.h"

static void no_name_is_in_both_tables(void)
{
    for (size_t i = 0; i < seccomp_allowed_count; i++) {
        for (size_t k = 0; k < seccomp_refused_count; k++)
            CHECK(strcmp(seccomp_allowed[i].name, seccomp_refused[k]) != 0);
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(seccomp_allowed[i].name, seccomp_allowed[k].name) != 0);
    }
}

/* errno of the call under the filter; 0 when it succeeded. */
static int errno_all(const struct sock_fprog *filter, long call, const long args[6])
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct err err = {0};

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_install(filter, &err) != 0)
            _exit(255);
        _exit(syscall(call, args[0], args[1], args[2], args[3], args[4], args[5]) < 0 ? errno : 0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int errno_with(const struct sock_fprog *filter, long call, long a, long b)
{
    return errno_all(filter, call, (const long[6]){a, b});
}

static int errno_of(const struct sock_fprog *filter, long call)
{
    return errno_with(filter, call, 0, 0);
}

static void filters(void)
{
    struct sock_fprog filter = {0};
    struct err err = {0};

    CHECK(seccomp_compile(true, &filter, &err) == 0);
    test_note("%u instructions", filter.len);
    CHECK(errno_of(&filter, SYS_getpid) == 0);
    CHECK(errno_of(&filter, SYS_keyctl) == EPERM);
    CHECK(errno_of(&filter, SYS_bpf) == EPERM);
    CHECK(errno_of(&filter, SYS_io_uring_setup) == EPERM);
    CHECK(errno_of(&filter, SYS_syslog) == EPERM);
    CHECK(errno_of(&filter, SYS_init_module) == EPERM);
    CHECK(errno_of(&filter, 1000) == ENOSYS);
    CHECK(errno_of(&filter, SYS_unshare) == 0);
    free(filter.filter);
}

/* The others either know no network namespace, as vsock, or are kernel code nobody needs. */
static void sockets_are_of_few_families(void)
{
    static const int allowed[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
    struct sock_fprog filter = {0};
    struct err err = {0};

    CHECK(seccomp_compile(true, &filter, &err) == 0);
    for (long family = 0; family < AF_MAX + 2; family++) {
        bool is_allowed = false;
        int type = family == AF_NETLINK ? SOCK_RAW : SOCK_STREAM;

        for (size_t i = 0; i < COUNT_OF(allowed); i++)
            is_allowed |= family == allowed[i];
        CHECK(errno_with(&filter, SYS_socket, family, type) == (is_allowed ? 0 : EAFNOSUPPORT));
    }
    CHECK(errno_with(&filter, SYS_socketpair, AF_TIPC, SOCK_STREAM) == EAFNOSUPPORT);
    CHECK(errno_with(&filter, SYS_socketpair, AF_UNIX, SOCK_STREAM) == EFAULT);
    CHECK(errno_with(&filter, SYS_socket, AF_VSOCK | 1L << 32, SOCK_STREAM) == EAFNOSUPPORT);
    CHECK(errno_with(&filter, SYS_socket, AF_INET | 1L << 32, SOCK_STREAM) == EAFNOSUPPORT);
    free(filter.filter);
}

static void netlink_is_of_few_protocols(void)
{
    struct sock_fprog filter = {0};
    struct err err = {0};

    CHECK(seccomp_compile(true, &filter, &err) == 0);
    for (long protocol = 0; protocol < 40; protocol++) {
        bool is_allowed = protocol == NETLINK_ROUTE || protocol == NETLINK_SOCK_DIAG ||
                          protocol == NETLINK_NETFILTER || protocol == NETLINK_GENERIC;
        const long args[6] = {AF_NETLINK, SOCK_RAW, protocol};
        const long wide[6] = {AF_NETLINK, SOCK_RAW, protocol | 1L << 32};

        CHECK(errno_all(&filter, SYS_socket, args) == (is_allowed ? 0 : EPROTONOSUPPORT));
        CHECK(errno_all(&filter, SYS_socket, wide) == EPROTONOSUPPORT);
    }
    free(filter.filter);
}

static void nothing_is_taken_from_the_machine(void)
{
    const long small[6] = {0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0};
    const long huge[6] = {0, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0};
    const long wide[6] = {0, 2 << 20, PROT_READ, huge[3] | 1L << 32, -1, 0};
    struct sock_fprog filter = {0};
    struct err err = {0};

    CHECK(seccomp_compile(true, &filter, &err) == 0);
    CHECK(errno_all(&filter, SYS_mmap, small) == 0);
    CHECK(errno_all(&filter, SYS_mmap, huge) == EPERM);
    CHECK(errno_all(&filter, SYS_mmap, wide) == EPERM);
    CHECK(errno_with(&filter, SYS_memfd_create, (long)"x", MFD_CLOEXEC) == 0);
    CHECK(errno_with(&filter, SYS_memfd_create, (long)"x", MFD_HUGETLB) == EPERM);
    CHECK(errno_all(&filter, SYS_shmget, (const long[6]){IPC_PRIVATE, 2 << 20, SHM_HUGETLB}) ==
          EPERM);
    CHECK(errno_of(&filter, SYS_io_setup) == ENOSYS);
    free(filter.filter);
}

/* In a child, as the filter stays. */
static void the_size_of_core_files_stays(void)
{
    const struct rlimit other = {0, 0}, files = {64, 64};
    struct sock_fprog filter = {0};
    struct rlimit before, after = {0};
    struct err err = {0};
    int status = 0;
    pid_t pid;

    CHECK(seccomp_compile(true, &filter, &err) == 0);
    pid = fork();
    if (pid == 0) {
        const struct rlimit one = {1, 1};
        bool is_kept;

        ignore(setrlimit(RLIMIT_CORE, &one)); /* or what it was, if that was less */
        getrlimit(RLIMIT_CORE, &before);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || seccomp_install(&filter, &err) != 0)
            _exit(255);
        is_kept = setrlimit(RLIMIT_CORE, &other) == 0 &&
                  syscall(SYS_prlimit64, 0, RLIMIT_CORE | 1L << 32, &other, NULL) == 0 &&
                  getrlimit(RLIMIT_CORE, &after) == 0 && after.rlim_cur == before.rlim_cur &&
                  after.rlim_max == before.rlim_max;
        is_kept &= setrlimit(RLIMIT_NOFILE, &files) == 0 && getrlimit(RLIMIT_NOFILE, &after) == 0 &&
                   after.rlim_max == 64;
        _exit(is_kept && before.rlim_max != 0 ? 0 : 1);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
    free(filter.filter);
}

static void without_a_user_namespace_none_can_be_made(void)
{
    struct sock_fprog filter = {0};
    struct err err = {0};

    CHECK(seccomp_compile(false, &filter, &err) == 0);
    CHECK(errno_of(&filter, SYS_getpid) == 0);
    CHECK(errno_of(&filter, SYS_unshare) == EPERM);
    CHECK(errno_of(&filter, SYS_setns) == EPERM);
    CHECK(errno_of(&filter, SYS_clone3) == ENOSYS);
    free(filter.filter);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"no name is in both tables",                 no_name_is_in_both_tables                },
        {"the filter does what they say",             filters                                  },
        {"sockets are of few families",               sockets_are_of_few_families              },
        {"netlink is of few protocols",               netlink_is_of_few_protocols              },
        {"nothing is taken from the machine",         nothing_is_taken_from_the_machine        },
        {"the size of core files stays",              the_size_of_core_files_stays             },
        {"without a user namespace none can be made", without_a_user_namespace_none_can_be_made},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

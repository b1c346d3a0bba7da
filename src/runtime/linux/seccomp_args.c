/* SPDX-License-Identifier: Apache-2.0 */
/* See seccomp_args.h. A filter sees registers of 64 bits where the kernel may take 32 of them: a
 * register is compared whole with what is allowed, and by its bits with what is not. */
#include "runtime/linux/seccomp_args.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* Other families know no network namespace (vsock leads to the machine below ours) or are kernel
 * code that nobody here needs. AF_NETLINK is the last one, and has protocols. */
static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};

/* What programs ask about their own network. Others are for administrators, or are about the
 * machine: its devices come and go (NETLINK_KOBJECT_UEVENT) in every network namespace that the
 * machine's root owns. Creators write rules by NETLINK_NETFILTER, which answers nobody who may not
 * change the network. */
static const unsigned protocols[] = {NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_NETFILTER,
                                     NETLINK_GENERIC};

/* Flags that take pages from the machine's reserve of huge ones: no group of ours counts them. */
struct flag_row {
    int call;
    unsigned argument;
    uint64_t flag;
};

static const struct flag_row huge_pages[] = {
    {SCMP_SYS(mmap),         3, 0x40000}, /* MAP_HUGETLB */
    {SCMP_SYS(memfd_create), 1, 4      }, /* MFD_HUGETLB */
    {SCMP_SYS(shmget),       2, 04000  }, /* SHM_HUGETLB */
};

static int add(scmp_filter_ctx ctx, uint32_t action, int call, const struct scmp_arg_cmp args[2],
               struct err *err)
{
    unsigned count = args[1].op == 0 ? 1 : 2;
    int error = seccomp_rule_add_array(ctx, action, call, count, args);

    if (error != 0)
        return err_sys(err, -error, "seccomp rule for system call %d", call);
    return 0;
}

static bool is_listed(const unsigned *list, size_t count, unsigned number)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i] == number)
            return true;
    }
    return false;
}

static int limit_protocols(scmp_filter_ctx ctx, int call, struct err *err)
{
    const uint32_t refused = SCMP_ACT_ERRNO(EPROTONOSUPPORT);
    struct scmp_arg_cmp args[2] = {SCMP_A0_64(SCMP_CMP_EQ, AF_NETLINK)};

    for (unsigned p = 0; p <= NETLINK_GENERIC; p++) {
        bool is_allowed = is_listed(protocols, COUNT_OF(protocols), p);

        args[1] = SCMP_A2_64(SCMP_CMP_EQ, p);
        if (add(ctx, is_allowed ? SCMP_ACT_ALLOW : refused, call, args, err) != 0)
            return -1;
    }
    args[1] = SCMP_A2_64(SCMP_CMP_GT, NETLINK_GENERIC);
    return add(ctx, refused, call, args, err);
}

static int limit_families(scmp_filter_ctx ctx, int call, struct err *err)
{
    const uint32_t refused = SCMP_ACT_ERRNO(EAFNOSUPPORT);
    struct scmp_arg_cmp args[2] = {0};

    for (unsigned family = 0; family < AF_NETLINK; family++) {
        bool is_allowed = is_listed(families, COUNT_OF(families), family);

        args[0] = SCMP_A0_64(SCMP_CMP_EQ, family);
        if (add(ctx, is_allowed ? SCMP_ACT_ALLOW : refused, call, args, err) != 0)
            return -1;
    }
    args[0] = SCMP_A0_64(SCMP_CMP_GT, AF_NETLINK);
    return add(ctx, refused, call, args, err) == 0 ? limit_protocols(ctx, call, err) : -1;
}

static int refuse_flag(scmp_filter_ctx ctx, const struct flag_row *row, struct err *err)
{
    const struct scmp_arg_cmp without[2] = {
        SCMP_CMP64(row->argument, SCMP_CMP_MASKED_EQ, row->flag, 0)};
    const struct scmp_arg_cmp with[2] = {
        SCMP_CMP64(row->argument, SCMP_CMP_MASKED_EQ, row->flag, row->flag)};

    return add(ctx, SCMP_ACT_ALLOW, row->call, without, err) == 0
               ? add(ctx, SCMP_ACT_ERRNO(EPERM), row->call, with, err)
               : -1;
}

/* `at`: the arguments that are the resource and the new limit. Zero as the error number is success.
 */
static int keep_core_size(scmp_filter_ctx ctx, int call, const unsigned at[2], struct err *err)
{
    struct scmp_arg_cmp args[2];

    for (unsigned resource = 0; resource < RLIM_NLIMITS; resource++) {
        args[0] = SCMP_CMP64(at[0], SCMP_CMP_MASKED_EQ, UINT32_MAX, resource);
        args[1] = (struct scmp_arg_cmp){0};
        if (resource == RLIMIT_CORE)
            args[1] = SCMP_CMP64(at[1], SCMP_CMP_EQ, 0); /* asks only */
        if (add(ctx, SCMP_ACT_ALLOW, call, args, err) != 0)
            return -1;
    }
    args[0] = SCMP_CMP64(at[0], SCMP_CMP_MASKED_EQ, UINT32_MAX, RLIMIT_CORE);
    args[1] = SCMP_CMP64(at[1], SCMP_CMP_NE, 0);
    return add(ctx, SCMP_ACT_ERRNO(0), call, args, err);
}

int seccomp_add_args(scmp_filter_ctx ctx, struct err *err)
{
    static const unsigned of_setrlimit[2] = {0, 1}, of_prlimit64[2] = {1, 2};

    for (size_t i = 0; i < COUNT_OF(huge_pages); i++) {
        if (refuse_flag(ctx, &huge_pages[i], err) != 0)
            return -1;
    }
    if (limit_families(ctx, SCMP_SYS(socket), err) != 0 ||
        limit_families(ctx, SCMP_SYS(socketpair), err) != 0 ||
        keep_core_size(ctx, SCMP_SYS(setrlimit), of_setrlimit, err) != 0)
        return -1;
    return keep_core_size(ctx, SCMP_SYS(prlimit64), of_prlimit64, err);
}

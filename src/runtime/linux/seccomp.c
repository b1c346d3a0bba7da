/* SPDX-License-Identifier: Apache-2.0 */
/* See seccomp.h. */
#include "runtime/linux/seccomp.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "runtime/linux/seccomp_args.h"

enum {
    TREE_OPTIMIZATION = 2 /* libseccomp: a binary tree instead of a list */
};

static int resolve(const struct seccomp_allowed *row)
{
    int number = seccomp_syscall_resolve_name(row->name);

    return number == __NR_SCMP_ERROR && row->number != 0 ? row->number : number;
}

/* A name this machine or the library does not have is skipped: it stays ENOSYS. */
static int add(scmp_filter_ctx ctx, uint32_t action, const char *name, int number, struct err *err)
{
    int error;

    if (number == __NR_SCMP_ERROR || number < 0)
        return 0;
    error = seccomp_rule_add(ctx, action, number, 0);
    if (error != 0)
        return err_sys(err, -error, "seccomp rule for %s", name);
    return 0;
}

/* clone3 passes its flags in memory that a filter cannot read; told that it is absent, libc uses
 * clone. */
static int refuse_userns(scmp_filter_ctx ctx, struct err *err)
{
    const uint64_t flag = CLONE_NEWUSER;
    const uint32_t refused = SCMP_ACT_ERRNO(EPERM);
    struct scmp_arg_cmp without = SCMP_A0_64(SCMP_CMP_MASKED_EQ, flag, 0);
    struct scmp_arg_cmp with = SCMP_A0_64(SCMP_CMP_MASKED_EQ, flag, flag);
    int error = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, without);

    if (error == 0)
        error = seccomp_rule_add(ctx, refused, SCMP_SYS(clone), 1, with);
    if (error == 0)
        error = seccomp_rule_add(ctx, refused, SCMP_SYS(unshare), 0);
    if (error == 0)
        error = seccomp_rule_add(ctx, refused, SCMP_SYS(setns), 0);
    if (error != 0)
        return err_sys(err, -error, "seccomp rules against user namespaces");
    return 0;
}

static bool is_about_namespaces(const char *name)
{
    static const char *const names[] = {"clone", "clone3", "unshare", "setns"};

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static int add_rules(scmp_filter_ctx ctx, bool has_userns, struct err *err)
{
    for (size_t i = 0; i < seccomp_allowed_count; i++) {
        const struct seccomp_allowed *row = &seccomp_allowed[i];

        if (!has_userns && is_about_namespaces(row->name))
            continue;
        if (add(ctx, SCMP_ACT_ALLOW, row->name, resolve(row), err) != 0)
            return -1;
    }
    for (size_t i = 0; i < seccomp_refused_count; i++) {
        const char *name = seccomp_refused[i];

        if (add(ctx, SCMP_ACT_ERRNO(EPERM), name, seccomp_syscall_resolve_name(name), err) != 0)
            return -1;
    }
    if (seccomp_add_args(ctx, err) != 0)
        return -1;
    return has_userns ? 0 : refuse_userns(ctx, err);
}

/* The library writes to a descriptor; the program is read back from it. */
static int export_program(scmp_filter_ctx ctx, struct sock_fprog *out, struct err *err)
{
    auto_fd int fd = memfd_create("seccomp", MFD_CLOEXEC);
    auto_free struct sock_filter *filter = NULL;
    struct stat st;
    size_t count;
    int error;

    if (fd < 0)
        return err_sys(err, errno, "memfd");
    error = seccomp_export_bpf(ctx, fd);
    if (error != 0 || fstat(fd, &st) != 0)
        return err_sys(err, error != 0 ? -error : errno, "export the system call filter");
    count = (size_t)st.st_size / sizeof(*filter);
    if (count == 0 || count > BPF_MAXINSNS)
        return err_set(err, ERR_SYSTEM, "system call filter of %zu instructions", count);
    filter = mem_array(count, sizeof(*filter));
    if (pread(fd, filter, count * sizeof(*filter), 0) != (ssize_t)(count * sizeof(*filter)))
        return err_sys(err, errno, "read the system call filter");
    out->len = (unsigned short)count;
    out->filter = take_ptr(&filter);
    return 0;
}

int seccomp_compile(bool has_userns, struct sock_fprog *out, struct err *err)
{
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
    int result = -1;

    if (ctx == NULL)
        return err_set(err, ERR_SYSTEM, "seccomp_init");
    /* the optimization needs 2.5: without it the filter is slower, not different */
    ignore(seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, TREE_OPTIMIZATION));
    if (seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0)
        ignore(err_set(err, ERR_SYSTEM, "seccomp: foreign architectures"));
    else if (add_rules(ctx, has_userns, err) == 0)
        result = export_program(ctx, out, err);
    seccomp_release(ctx);
    return result;
}

int seccomp_install(const struct sock_fprog *filter, struct err *err)
{
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) != 0)
        return err_sys(err, errno, "load the system call filter");
    return 0;
}

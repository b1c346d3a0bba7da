/* SPDX-License-Identifier: Apache-2.0 */
/* See confine.h. Called in the child of keeper.c. */
#include "image/confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "base/own.h"

/* In its own namespace, over directories that are mapped into it: owners, modes, attributes. */
static const unsigned kept_caps[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER, CAP_FSETID,
                                     CAP_SETFCAP};

enum {
    MEMORY_MAX = 1 << 30,
    FILES_MAX = 256,
    THREADS_MAX = 256, /* of all workers: libcurl resolves names in threads */
    CPU_MAX_S = 7200,
};

static int drop_caps(struct err *err)
{
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {0};

    for (size_t i = 0; i < COUNT_OF(kept_caps); i++)
        data[kept_caps[i] / 32].permitted |= 1U << kept_caps[i] % 32;
    data[0].effective = data[0].permitted;
    data[1].effective = data[1].permitted;
    for (unsigned cap = 0; cap <= CAP_LAST_CAP; cap++) {
        /* EINVAL: the kernel knows fewer than our headers */
        if ((data[cap / 32].permitted >> cap % 32 & 1) == 0 &&
            prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EINVAL)
            return err_sys(err, errno, "drop a capability");
    }
    if (syscall(SYS_capset, &head, data) != 0)
        return err_sys(err, errno, "drop capabilities");
    return 0;
}

static int limit(const struct confine *c, struct err *err)
{
    const struct {
        int resource;
        rlim_t max;
    } limits[] = {
        {RLIMIT_CORE,   1            }, /* with 0 the kernel may still hand them to a program */
        {RLIMIT_NOFILE, FILES_MAX    },
        {RLIMIT_NPROC,  THREADS_MAX  },
        {RLIMIT_CPU,    CPU_MAX_S    },
        {RLIMIT_FSIZE,  c->file_bytes},
#ifndef __SANITIZE_ADDRESS__  /* which maps terabytes */
        {RLIMIT_AS,     MEMORY_MAX   },
#endif
    };

    for (size_t i = 0; i < COUNT_OF(limits); i++) {
        struct rlimit l = {limits[i].max, limits[i].max};

        if (setrlimit(limits[i].resource, &l) != 0)
            return err_sys(err, errno, "set a limit");
    }
    return signal(SIGXFSZ, SIG_IGN) == SIG_ERR ? err_sys(err, errno, "ignore a signal") : 0;
}

/* Closes all that is not in the list, in ascending order. */
static int close_others(const struct confine *c, struct err *err)
{
    int sorted[CONFINE_FDS_MAX];
    unsigned from = 3;

    for (size_t i = 0; i < c->fd_count; i++) {
        size_t at = i;

        for (; at > 0 && sorted[at - 1] > c->fds[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = c->fds[i];
    }
    for (size_t i = 0; i < c->fd_count; i++) {
        unsigned keep = (unsigned)sorted[i];

        if (keep > from && close_range(from, keep - 1, 0) != 0)
            return err_sys(err, errno, "close descriptors");
        from = keep >= from ? keep + 1 : from;
    }
    if (close_range(from, ~0U, 0) != 0)
        return err_sys(err, errno, "close descriptors");
    return 0;
}

static int change_user(const struct confine *c, struct err *err)
{
    if (setns(c->userns_fd, CLONE_NEWUSER) != 0)
        return err_sys(err, errno, "enter the user namespace");
    if (!c->needs_network && unshare(CLONE_NEWNET) != 0)
        return err_sys(err, errno, "leave the network");
    if (setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0)
        return err_sys(err, errno, "become root of the user namespace");
    return 0;
}

int confine(const struct confine *c, struct err *err)
{
    if (setsid() < 0)
        return err_sys(err, errno, "leave the session");
    if (chdir("/") != 0)
        return err_sys(err, errno, "go to the root");
    if (change_user(c, err) != 0 || close_others(c, err) != 0 || limit(c, err) != 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return err_sys(err, errno, "give up new privileges");
    if (drop_caps(err) != 0)
        return -1;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) /* a change of user clears it */
        return err_sys(err, errno, "set the death signal");
    return getppid() == c->parent ? 0 : err_set(err, ERR_SYSTEM, "the parent is gone");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The part of the system call filter that depends on arguments. Used by seccomp.c. */
#ifndef RUNTIME_LINUX_SECCOMP_ARGS_H
#define RUNTIME_LINUX_SECCOMP_ARGS_H

#include <seccomp.h>

#include "base/err.h"

/* Adds the rules for:
 *   socket, socketpair    families that belong to a network namespace, and of netlink what programs
 *                         ask about their own network
 *   mmap, memfd_create,   no huge pages of the machine's reserve: no group counts them
 *   shmget
 *   setrlimit, prlimit64  the size of core files stays what it is; setting it is answered as done
 */
must_check int seccomp_add_args(scmp_filter_ctx ctx, struct err *err);

#endif

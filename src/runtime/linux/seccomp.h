/* SPDX-License-Identifier: Apache-2.0 */
/* The system call filter of every sandbox: a list of what is allowed (seccomp_table.c), compiled
 * once. What is not listed does not exist (ENOSYS); what is known and refused says EPERM. */
#ifndef RUNTIME_LINUX_SECCOMP_H
#define RUNTIME_LINUX_SECCOMP_H

#include <linux/filter.h>
#include <stdbool.h>

#include "base/err.h"

struct seccomp_allowed {
    const char *name;
    int number; /* for calls newer than the library (the same on all machines); 0: by name only */
};

extern const struct seccomp_allowed seccomp_allowed[];
extern const size_t seccomp_allowed_count;
extern const char *const seccomp_refused[];
extern const size_t seccomp_refused_count;

/* Without a user namespace, making one inside would give away host capabilities: then that too is
 * refused here. out->filter is on the heap. */
must_check int seccomp_compile(bool has_userns, struct sock_fprog *out, struct err *err);
/* On the calling thread and its future children, which is what makes it free for each of them. */
must_check int seccomp_install(const struct sock_fprog *filter, struct err *err);

#endif

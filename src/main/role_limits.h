/* SPDX-License-Identifier: Apache-2.0 */
/* What a role that reads what strangers send gives up before it reads anything: new privileges,
 * core dumps and tracing by its user, and the system calls that its work does not need. */
#ifndef MAIN_ROLE_LIMITS_H
#define MAIN_ROLE_LIMITS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* A call that is in neither list answers ENOSYS, and the kernel's log names it: libraries take that
 * for an older kernel and go on with what is listed. One of the second list kills the role. */
extern const char *const role_calls[], *const role_fatal_calls[];
extern const size_t role_call_count, role_fatal_call_count;

/* For all threads that exist and will. With has_filter false the system calls stay as they are. */
must_check int role_limit(bool has_filter, struct err *err);

/* For node: the capabilities that neither it nor what it executes uses, for good. */
must_check int role_drop_capabilities(struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* How the host reaches a guest daemon that was not born a moment ago: one that was restored has no
 * descriptor in common with the node any more. The guest listens on a name that belongs to its
 * network namespace, and knows the host by what nobody inside can be: a process that its process
 * namespace does not show. */
#ifndef IO_CONTROL_H
#define IO_CONTROL_H

#include <stdbool.h>

#include "base/err.h"

/* In the network namespace of the caller. Closed on exec, non-blocking. */
must_check int control_listen(int *out_fd, struct err *err);
must_check int control_connect(int *out_fd, struct err *err);
/* Is the other end of an accepted connection outside of our process namespace? */
bool control_is_host(int fd);

#endif

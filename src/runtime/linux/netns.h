/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces of sandboxes: loopback only, owned by the host. */
#ifndef RUNTIME_LINUX_NETNS_H
#define RUNTIME_LINUX_NETNS_H

#include <stdint.h>

#include "base/err.h"

/* Makes one on the calling thread, which is back in `host_fd`'s namespace afterwards. lo is up,
 * every port and ping are open to users. *out_sys_fd is a read-only sysfs that shows it. */
must_check int netns_make(int host_fd, int *out_fd, int *out_sys_fd, struct err *err);
/* A TCP socket inside; see runtime_connect(). */
must_check int netns_connect(int host_fd, int netns_fd, uint16_t port, int *out_fd,
                             struct err *err);

#endif

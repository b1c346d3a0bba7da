/* SPDX-License-Identifier: Apache-2.0 */
/* Network namespaces of sandboxes: loopback only, owned by the host. */
#ifndef RUNTIME_LINUX_NETNS_H
#define RUNTIME_LINUX_NETNS_H

#include <stdint.h>

#include "base/err.h"
#include "runtime/runtime.h"

struct netns_wish {
    int host_fd;     /* the namespace that the calling thread is in, and is in again afterwards */
    bool is_outward; /* with a way out: outward.h */
};

struct netns {
    int fd, sys_fd;               /* sys_fd: a read-only sysfs that shows it */
    struct runtime_outlet outlet; /* made ahead, until netns_outlet() gives them away; all -1 */
};

extern const struct netns netns_none;

/* lo is up, every port and ping are open to users. */
must_check int netns_make(const struct netns_wish *wish, struct netns *out, struct err *err);
/* Its sockets of outward.h: those that were made with it or prepared, once; else new ones. */
must_check int netns_outlet(const struct netns_wish *wish, struct netns *n,
                            struct runtime_outlet *out, struct err *err);
/* Makes them now for the next netns_outlet(), if there are none and sandboxes have a way out. Its
 * failure is that one's to tell. */
void netns_prepare(const struct netns_wish *wish, struct netns *n);
void netns_unprepare(struct netns *n); /* closes those that nobody has asked for */
/* As netns_make() for a namespace that somebody else has made. */
must_check int netns_configure(const struct netns_wish *wish, int netns_fd, struct err *err);
void netns_done(struct netns *n); /* closes what it holds */
/* A TCP socket inside; see runtime_connect(). */
must_check int netns_connect(const struct netns_wish *wish, int netns_fd, uint16_t port,
                             int *out_fd, struct err *err);

#endif

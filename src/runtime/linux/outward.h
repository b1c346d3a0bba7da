/* SPDX-License-Identifier: Apache-2.0 */
/* The way out of a network namespace that has no device but loopback.
 *
 * Every address is local there (a route "local 0.0.0.0/0 dev lo"), and a short rule set brings what
 * is meant for elsewhere to sockets that belong to the host and are given to the egress role
 * (ipc/egress_messages.h):
 *
 *   shown      gets a copy of each packet that begins something: TCP SYN, ICMP echo, each whole
 *              again if it came in fragments. The original is dropped.
 *   raw, raw6  What is sent through them enters loopback with the mark that the rules let pass: the
 *              SYN once the far end has answered, or a reset, or an ICMP error. So connect(2)
 * inside ends with what the far end said, and not before. They receive nothing. stream     listens;
 * accepts the SYNs that were sent again. getsockname(2) is the original destination. datagram gets
 * each UDP datagram for elsewhere, with its original destination.
 *
 * All of them close at once, as no packet socket does (16 ms of RCU): hundreds end in no time when
 * the process that has them dies. No address is translated and no connection tracked. Nobody inside
 * can change any of it: the namespace belongs to the host's user namespace. */
#ifndef RUNTIME_LINUX_OUTWARD_H
#define RUNTIME_LINUX_OUTWARD_H

#include "base/err.h"
#include "runtime/runtime.h"

enum {
    OUTWARD_PORT = 1, /* taken in every sandbox, TCP and UDP */
};

/* The sandbox's own: 192.0.0.8 is the dummy address of RFC 7600, which no network has; the other
 * one is a local address (RFC 4193), which makes programs prefer IPv4. */
extern const char outward_address[], outward_address6[];
/* What its /etc/resolv.conf says. Any other address serves as well: the relay answers on port 53 of
 * all of them. */
extern const char outward_resolv_conf[];

/* In the calling thread's network namespace, once: brings lo up; `is_outward`: addresses, routes
 * and rules as well. */
must_check int outward_loopback(bool is_outward, struct err *err);
/* The sockets, of the calling thread's network namespace, which was configured. */
must_check int outward_open(struct runtime_outlet *out, struct err *err);
/* The same, made in the namespace `netns_fd`; the thread is in that of `host_fd` afterwards.
 * There is one `shown` for a namespace: EPERM until all copies of an earlier one are closed. */
must_check int outward_open_in(int host_fd, int netns_fd, struct runtime_outlet *out,
                               struct err *err);

#endif

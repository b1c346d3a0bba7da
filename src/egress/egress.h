/* SPDX-License-Identifier: Apache-2.0 */
/* The egress role: everything that leaves a sandbox passes here, and is dialled again from the
 * host's network by a process that may do nothing else. It believes only node, which gives it the
 * sockets (ipc/egress_messages.h). Dead or restarted, nothing leaves meanwhile, established
 * connections are reset, and what begins afterwards works.
 *
 * TCP:  the far end is dialled first. Only when it has answered the sandbox's SYN goes on; a
 *       refusal, or what the way said, is what connect(2) inside fails with. What policy forbids
 *       is refused: ECONNREFUSED.
 * UDP:  a talk per pair of places, ended by silence. What policy forbids is "administratively
 *       prohibited": EHOSTUNREACH, with IPv6 EACCES. What the way says is passed on (talk.h).
 * DNS:  port 53 of every address, UDP and TCP, is this role's own forwarder (dns.h).
 * ICMP: echo as UDP, where the host has ping sockets for this role; else it is prohibited. Never
 *       answered by a machine that was not asked.
 *
 * Used by src/main/role_egress.c. */
#ifndef EGRESS_EGRESS_H
#define EGRESS_EGRESS_H

#include "base/err.h"
#include "io/loop.h"

struct egress;

struct egress_config {
    int listen_fd;            /* SEQPACKET, inherited; taken */
    const char *allow, *deny; /* site_read() */
    const char *resolvers;    /* addresses; empty: those of /etc/resolv.conf */
    const char *ca_file;      /* PEM: believed besides what this machine trusts; empty: none */
    uint64_t bytes_per_s;     /* of a sandbox, each way; 0: no limit */
    uint64_t connections_max; /* of a sandbox */
};

must_check int egress_new(struct loop *l, const struct egress_config *config, struct egress **out,
                          struct err *err);
void egress_free(struct egress *e);

#endif

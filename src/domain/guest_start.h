/* SPDX-License-Identifier: Apache-2.0 */
/* What node is told to start or resume a sandbox with, out of its record alone. Used by
 * sandbox_create.c and sandbox_resume.c. */
#ifndef DOMAIN_GUEST_START_H
#define DOMAIN_GUEST_START_H

#include "base/buf.h"
#include "domain/record.h"
#include "ipc/node_messages.h"

struct guest_start {
    struct node_start m; /* borrows from the record and from below */
    struct buf init, policy;
};

/* ERR_INVALID: what its creator gave is too large. Either way guest_start_done() is called. */
must_check int guest_start_init(struct guest_start *g, const struct sandbox_record *r,
                                uint64_t replay_kb, struct err *err);
void guest_start_done(struct guest_start *g);

#endif

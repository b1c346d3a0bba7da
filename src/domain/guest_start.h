/* SPDX-License-Identifier: Apache-2.0 */
/* What node is told to start or resume a sandbox with, out of its record alone. Used by
 * sandbox_create.c, sandbox_resume.c and build_guest.c. */
#ifndef DOMAIN_GUEST_START_H
#define DOMAIN_GUEST_START_H

#include "base/buf.h"
#include "domain/sandbox.h"
#include "ipc/node_messages.h"

struct guest_start {
    struct node_start m; /* borrows from the record and from below */
    struct buf init, policy;
};

/* ERR_INVALID: what its creator gave is too large. Either way guest_start_done() is called. When it
 * is good, the secrets that its rules need are on their way to node, before the command. */
must_check int guest_start_init(struct guest_start *g, struct sandbox *s, struct err *err);
/* Of a build's sandbox, which is nobody's: the default rules, no output is kept. */
must_check int guest_start_init_build(struct guest_start *g, const struct sandbox_record *r,
                                      struct err *err);
void guest_start_done(struct guest_start *g);

#endif

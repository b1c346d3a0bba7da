/* SPDX-License-Identifier: Apache-2.0 */
/* Which host a connection of the sandbox asks for: its first bytes are looked at
 * (http/asked_name.h) and stay where they are, for whoever serves it then. Used by tcp.c.
 *
 * Where names decide (VERDICT_BY_NAME) nothing was dialled, and a connection that names nothing is
 * refused; where the server would speak first, nothing comes, and it is refused after NAMED_ASK_MS.
 * Elsewhere (`upstream`) the far end is there already, and a connection without a name is as good
 * as any: one where the server begins, too. */
#ifndef EGRESS_NAMED_H
#define EGRESS_NAMED_H

#include "egress/outlet.h"

struct named;

enum {
    NAMED_ASK_MS = 10000, /* from the handshake to the whole name */
};

struct named_result {
    int fd;           /* to be taken; -1: refused, it has been reset */
    const char *name; /* NULL: none; which does not matter unless it was refused */
    bool is_tls;
    const char *why; /* it was refused */
};

/* Once, and not before named_start() has returned. */
typedef void named_fn(void *ctx, struct named_result *result);

/* Takes fd. `upstream`: the caller's, or -1: names decide. */
void named_start(struct outlet *o, int fd, int upstream, named_fn *fn, void *ctx,
                 struct named **out);
void named_free(struct named *n); /* resets; no call. NULL is fine */

#endif

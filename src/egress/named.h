/* SPDX-License-Identifier: Apache-2.0 */
/* A connection whose name decides (VERDICT_BY_NAME): it was accepted, and nothing was dialled. Its
 * first bytes are read for the name it asks for (http/asked_name.h); when the policy allows that
 * name, it is resolved here and what comes out is dialled. The address that the sandbox had in mind
 * is not used: it may have been made up. Where the server would speak first nothing comes, and the
 * connection is refused after NAMED_ASK_MS. Used by tcp.c. */
#ifndef EGRESS_NAMED_H
#define EGRESS_NAMED_H

#include "egress/outlet.h"

struct named;

enum {
    NAMED_ASK_MS = 10000,  /* from the handshake to the whole name */
    NAMED_DIAL_MS = 30000, /* from there to a connection */
};

struct named_result {
    int fd, upstream;   /* both connected; to be taken */
    struct str first;   /* what was read from fd already; valid during the call */
    struct place place; /* that upstream is connected to, */
    const char *name;   /* for this name */
};

/* Once, and not before named_start() has returned. NULL: refused, fd has been reset. */
typedef void named_fn(void *ctx, struct named_result *result);

/* Takes fd. `to`: where the sandbox wanted to go; its port and its family are used. */
void named_start(struct outlet *o, int fd, const struct place *to, named_fn *fn, void *ctx,
                 struct named **out);
void named_free(struct named *n); /* resets; no call. NULL is fine */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to the outside: to a place, or to where a name leads, checked by the policy;
 * directly or through the sandbox's proxy (SOCKS5, RFC 1928 and 1929; HTTP CONNECT). Behind a proxy
 * a name is resolved by the proxy. Used by tcp.c and web.c. */
#ifndef EGRESS_REACH_H
#define EGRESS_REACH_H

#include "egress/outlet.h"

struct reach;

enum {
    REACH_MS = 30000, /* for a name, and for a proxy: from the start to a connection */
};

struct reach_spec {
    struct place to;  /* with a name its port, and the family that is asked for first */
    const char *name; /* NULL: `to` itself */
};

/* Once, later. fd < 0: `error` is an errno, EACCES for what the policy forbids. Otherwise fd is the
 * callee's, connected; `place` is what it is connected to, or with a proxy what was asked for. */
typedef void reach_fn(void *ctx, int fd, int error, const struct place *place);

void reach_start(struct outlet *o, const struct reach_spec *spec, reach_fn *fn, void *ctx,
                 struct reach **out);
void reach_free(struct reach *r); /* no call. NULL is fine */

#endif

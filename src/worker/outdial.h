/* SPDX-License-Identifier: Apache-2.0 */
/* A connection to an address: its name is resolved, TLS is shaken where the scheme asks for it. The
 * deadline is the caller's. */
#ifndef WORKER_OUTDIAL_H
#define WORKER_OUTDIAL_H

#include "http/client.h"
#include "worker/address.h"

struct dialer;
struct outdial;

/* Once, from the loop, never from inside outdial_start(). The connection is the callee's; without
 * TLS it may still be connecting. conn NULL: err says why. */
typedef void outdial_fn(void *ctx, struct http_conn *conn, const struct err *err);

/* `ca_file`: whom to believe; "": this machine's store, read when it is first needed. Borrowed. */
struct dialer *dialer_new(struct loop *l, const char *ca_file);
void dialer_free(struct dialer *d); /* once no dial is under way */

/* `to` is borrowed until the call of fn. */
struct outdial *outdial_start(struct dialer *d, const struct address *to, outdial_fn *fn,
                              void *ctx);
void outdial_cancel(struct outdial *d); /* NULL is fine; not after fn was called */

#endif

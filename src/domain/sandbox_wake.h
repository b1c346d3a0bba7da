/* SPDX-License-Identifier: Apache-2.0 */
/* Requests that wait until a sandbox runs: one in transition is waited for, one that is paused is
 * resumed where autoResume says so, once for all who wait (semantics.md 3.6, RX-08). Called by
 * api/feed.c for edge, which keeps the deadline of each request. */
#ifndef DOMAIN_SANDBOX_WAKE_H
#define DOMAIN_SANDBOX_WAKE_H

#include "domain/sandbox.h"

enum {
    WAKERS_MAX = 16384,       /* requests that wait for one sandbox */
    WAKE_TIMEOUT_LEAST = 300, /* seconds that a sandbox lives after traffic resumed it */
};

/* The right of who asks. Its traffic token was checked by edge. */
struct wake_right {
    uint32_t port;
    struct str access_token; /* for envd's port of a secure sandbox */
    bool is_verified;        /* instead: a signature was found right */
};

/* err NULL: it runs. ERR_NOT_FOUND: there is no such sandbox, or it ended. ERR_CONFLICT: paused,
 * and traffic may not resume it. ERR_DENIED: it may, but not this request. ERR_LIMIT: the team has
 * as many as it may. Others: the resume failed. */
typedef void wake_fn(void *ctx, const struct err *err);

/* fn is called once, maybe before this returns. */
void sandbox_wake(struct domain *d, struct str id, const struct wake_right *right, wake_fn *fn,
                  void *ctx);

/* For sandbox_move() and sandbox_free(): its state is another one now. Also for those who wait for
 * its pause or its resume. */
void wakers_tell(struct sandbox *s);
void wakers_fail(struct sandbox *s, const struct err *err); /* the resume has failed */
void wakers_done(struct sandbox *s);                        /* the domain ends: forget them */

#endif

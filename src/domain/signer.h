/* SPDX-License-Identifier: Apache-2.0 */
/* Whose access token made the signature of a file URL that names no sandbox (wire.md 1.4, 3.12)?
 *
 * A signature is a hash with the token in it, so nothing but trying tokens finds it. What keeps
 * that cheap: the part before the token is hashed once; a sandbox that was found moves to the
 * front, so a link that is used again (ranges of a video, parts of an upload) is found by one try;
 * newest sandboxes are next. What keeps it bounded: SIGNER_SLICE tries in a go and SIGNER_STEP_MS
 * between two, for all questions together, so that the rest of api goes on; SIGNER_ASKS_MAX
 * questions wait.
 *
 * Fed by sandbox_move() and recover.c, asked by api/feed.c. */
#ifndef DOMAIN_SIGNER_H
#define DOMAIN_SIGNER_H

#include "base/err.h"
#include "domain/sandbox.h"

enum {
    SIGNER_ASKS_MAX = 256,
    SIGNER_SLICE = 512,
    SIGNER_STEP_MS = 1,
};

struct signers;

/* Decoded, as they stand in the query. */
struct signed_url {
    struct str id; /* only that sandbox is tried; empty: all */
    struct str path, operation, user, signature, expiration;
    bool has_expiration;
};

/* s is NULL when err is set: ERR_NOT_FOUND nobody's; ERR_DENIED its time has passed, whoever made
 * it; ERR_LIMIT too many questions wait. */
typedef void signer_fn(void *ctx, const struct sandbox *s, const struct err *err);

struct signers *signers_new(struct loop *l);
void signers_free(struct signers *g); /* forgets questions without an answer */

/* In or out of those that are tried, as the sandbox's state asks. */
void signer_set(struct sandbox *s);
void signer_remove(struct sandbox *s); /* it is being freed */

/* fn is called once, maybe before this returns. */
void signer_find(struct domain *d, const struct signed_url *url, signer_fn *fn, void *ctx);

#endif

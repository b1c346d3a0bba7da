/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are pushed for a build: who may push, and that it was done. This layer holds the
 * password's digest and the mark; the bytes are build/push_store.h's.
 *
 * Each build has credentials of its own, made when somebody asks for them. They die when the build
 * starts or ends, when others are made for it, or after PUSH_TIME_MS. */
#ifndef DOMAIN_BUILD_PUSH_H
#define DOMAIN_BUILD_PUSH_H

#include "base/id.h"
#include "domain/build.h"

enum {
    PUSH_USER_LEN = 4 + 32, /* "bld_" and the digits of the build's random id */
    PUSH_TIME_MS = 2 * 3600 * 1000,
};

struct push_grant {
    char user[PUSH_USER_LEN + 1];
    char password[TOKEN_HEX_LEN + 1];
    int64_t until_ms;
};

/* New credentials, good once `fn` says they are durable. ERR_INVALID: the build is not waiting. */
must_check int build_push_grant(struct domain *d, struct build *b, struct push_grant *out,
                                template_done_fn *fn, void *ctx, struct err *err);
/* Whose credentials these are; NULL: nobody's, in the same time whatever is wrong. A build that is
 * pushed to waits on. */
struct build *build_push_check(struct domain *d, struct str user, struct str password);
/* Has the build such a thing at all, still? */
bool build_push_is_open(const struct build *b);
/* The manifest with this digest is its image from now on: the only proof of a push (CT-19). */
must_check int build_push_mark(struct domain *d, struct build *b, struct str digest,
                               template_done_fn *fn, void *ctx, struct err *err);

#endif

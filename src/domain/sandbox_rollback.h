/* SPDX-License-Identifier: Apache-2.0 */
/* See sandbox_rollback.c. */
#ifndef DOMAIN_SANDBOX_ROLLBACK_H
#define DOMAIN_SANDBOX_ROLLBACK_H

#include "domain/sandbox.h"

/* To a snapshot that was made of this very sandbox, whether it runs or is paused; what it did since
 * is given up. ask->resumed is called when it runs again; after an error of that it is paused, and
 * the next connect tries again. ERR_NOT_FOUND, ERR_CONFLICT, ERR_INVALID. */
must_check int sandbox_rollback(struct domain *d, const struct team *team, struct str id,
                                struct str reference, const struct resume_ask *ask,
                                struct err *err);

#endif

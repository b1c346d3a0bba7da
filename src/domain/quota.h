/* SPDX-License-Identifier: Apache-2.0 */
/* Concurrent sandboxes per team. Reserved before anything else is done, released when the guest is
 * gone: never overshot, never leaked. One thread, so a check and its reservation are one step. */
#ifndef DOMAIN_QUOTA_H
#define DOMAIN_QUOTA_H

#include "base/err.h"
#include "domain/team.h"

uint64_t quota_max(const struct domain *d, const struct team *t);
/* ERR_LIMIT with the exact text when the team has none left. */
must_check int quota_take(struct domain *d, struct sandbox *s, struct err *err);
void quota_force(struct sandbox *s);     /* a sandbox that is already there, at start */
void quota_give_back(struct sandbox *s); /* harmless when it holds none */

#endif

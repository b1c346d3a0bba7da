/* SPDX-License-Identifier: Apache-2.0 */
/* May it go there? The one place that decides; pure, so that it can be tested by table.
 *
 * In this order, the first that speaks decides:
 *   1. never: this host (0/8, 127/8, ::1), link-local and metadata addresses, multicast, broadcast,
 *      and others that no host has; also in any of their IPv6 spellings
 *   2. what the operator denies
 *   3. private and documentation networks that the operator has not allowed
 *   4. what the sandbox's policy allows
 *   5. what it denies, or all when it is offline
 *   6. yes
 * Addresses of this host that are none of these are known to the kernel alone: route.h. */
#ifndef EGRESS_VERDICT_H
#define EGRESS_VERDICT_H

#include "egress/policy.h"

enum verdict {
    VERDICT_ALLOW,
    VERDICT_DENY,
};

/* `name`: what the sandbox calls the place, as far as it is known; empty when it is not.
 * *out_rule (may be NULL) says which rule decided, for people. */
enum verdict verdict(const struct site *site, const struct policy *policy, const struct place *to,
                     struct str name, const char **out_rule);

#endif

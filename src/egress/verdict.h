/* SPDX-License-Identifier: Apache-2.0 */
/* May it go there? The one place that decides; pure, so that it can be tested by table.
 *
 * In this order, the first that speaks decides:
 *   1. never: this host (0/8, 127/8, ::1), link-local and metadata addresses, multicast, broadcast,
 *      and others that no host has; also in any of their IPv6 spellings
 *   2. what the operator denies
 *   3. private and documentation networks that the operator has not allowed
 *   4. what the sandbox's policy allows, by address
 *   5. what it denies, or all when it is offline, unless it allows names: then what the connection
 *      asks for decides, and the address only has to pass 1 to 3
 *   6. yes
 * Addresses of this host that are none of these are known to the kernel alone: route.h. */
#ifndef EGRESS_VERDICT_H
#define EGRESS_VERDICT_H

#include "egress/policy.h"

enum verdict {
    VERDICT_ALLOW,
    VERDICT_DENY,
    VERDICT_BY_NAME, /* ask again with a name; where none can be had, it is no */
};

/* `name`: what the connection asks for, when it is known; else empty, and VERDICT_BY_NAME possible.
 * With a name the place must be one that this role has resolved it to, not the sandbox.
 * *out_rule (may be NULL) says which rule decided, for people. */
enum verdict verdict(const struct site *site, const struct policy *policy, const struct place *to,
                     struct str name, const char **out_rule);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Records of what sandboxes did with the network (struct egress_record), told to node while a
 * sandbox's policy asks for them (audit_percent). What was denied is always told, of what was
 * allowed each n-th. At most AUDIT_PER_S of a sandbox and AUDIT_ALL_PER_S of all; what is too much
 * is only counted, and the next record says how many there were. Nothing is kept here. */
#ifndef EGRESS_AUDIT_H
#define EGRESS_AUDIT_H

#include "base/bucket.h"
#include "egress/place.h"

enum {
    AUDIT_PER_S = 50,
    AUDIT_BURST = 500,
    AUDIT_ALL_PER_S = 2000,
    AUDIT_ALL_BURST = 4000,
};

struct outlet;

/* Of an outlet. */
struct audit {
    struct bucket rate;
    unsigned percents; /* of those that were passed over */
    uint32_t missed;
};

struct audit_note {
    const char *protocol;
    const struct place *to; /* NULL: not known */
    const char *name;       /* NULL or no name of a host: not told */
    const char *rule;       /* NULL: the one that verdict() names */
    const char *detail;     /* NULL: none */
    bool is_denied;
    uint64_t began_ms, up, down; /* began_ms: of the loop; 0: now */
};

bool audit_is_on(const struct outlet *o);
void audit_tell(struct outlet *o, const struct audit_note *n); /* nothing when it is off */

#endif

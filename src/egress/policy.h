/* SPDX-License-Identifier: Apache-2.0 */
/* What one sandbox may reach, and what any may: read once, asked often by verdict(). */
#ifndef EGRESS_POLICY_H
#define EGRESS_POLICY_H

#include "base/err.h"
#include "egress/place.h"
#include "ipc/egress_messages.h"

struct ranges {
    struct range *rows;
    size_t count;
};

/* Patterns of host names (base/host_name.h), each of them in `text`. */
struct names {
    struct str *rows;
    size_t count;
    char *text;
    size_t used; /* of it */
};

/* Of the operator, for all sandboxes. */
struct site {
    struct ranges allow; /* of private networks: a company's mirror */
    struct ranges deny;  /* besides what is never reached */
};

/* Of one sandbox. */
struct policy {
    bool is_offline;
    struct ranges allow, deny; /* allow beats deny */
    struct names names;        /* of hosts that are allowed where addresses are denied */
    uint64_t bytes_per_s;      /* each way; 0: no limit */
    size_t connections_max;
    struct codec_list rules;          /* of struct egress_rule, in mem */
    const struct egress_proxy *proxy; /* NULL: none; the same */
    unsigned audit_percent;           /* see audit.h */
    struct arena mem;
};

/* "10.1.0.0/16, fd00::/8": blanks and commas between. ERR_INVALID names what is neither an address
 * nor a CIDR. */
must_check int site_read(const char *allow, const char *deny, struct site *out, struct err *err);
void site_done(struct site *s);

/* From the encoded struct egress_policy; what allowOut holds is a range or a name. 0.0.0.0/0 is
 * "all traffic" (wire.md 7.5): IPv6, too. `defaults` gives the limits it does not name.
 * ERR_INVALID: nobody may go on with a policy that is not understood. */
must_check int policy_read(struct str encoded, const struct policy *defaults, struct policy *out,
                           struct err *err);
void policy_done(struct policy *p);

#endif

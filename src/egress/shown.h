/* SPDX-License-Identifier: Apache-2.0 */
/* What a sandbox's `shown` socket (runtime/linux/outward.h) delivers: netlink messages of
 * netfilter's log, each with a packet. */
#ifndef EGRESS_SHOWN_H
#define EGRESS_SHOWN_H

#include <stdbool.h>

#include "base/str.h"

enum {
    SHOWN_EXTRA = 1024, /* bytes of a message besides its packet, and more */
};

/* False: it holds none. *out is part of the message. */
bool shown_packet(struct str message, struct str *out);

#endif

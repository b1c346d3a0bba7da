/* SPDX-License-Identifier: Apache-2.0 */
/* Which packets of a namespace go where; part of outward.h. */
#ifndef RUNTIME_LINUX_OUTWARD_RULES_H
#define RUNTIME_LINUX_OUTWARD_RULES_H

#include "base/err.h"

enum {
    OUTWARD_MARK = 0x53424f58, /* of what the relay sends; anything that nobody else uses */
};

/* One nftables table with one chain, in the calling thread's network namespace. */
must_check int outward_rules(struct err *err);
/* See outward.h. */
must_check int outward_shown_socket(int *out_fd, struct err *err);

#endif

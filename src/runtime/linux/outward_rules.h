/* SPDX-License-Identifier: Apache-2.0 */
/* Which packets of a namespace go where; part of outward.h. */
#ifndef RUNTIME_LINUX_OUTWARD_RULES_H
#define RUNTIME_LINUX_OUTWARD_RULES_H

#include "base/err.h"

/* One nftables table with one chain, in the calling thread's network namespace. */
must_check int outward_rules(struct err *err);
/* See outward.h. What it does not show is filtered in the kernel. */
must_check int outward_packet_socket(int *out_fd, struct err *err);

#endif

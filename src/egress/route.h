/* SPDX-License-Identifier: Apache-2.0 */
/* Which addresses are this machine's own? The kernel knows all of them, today's and not those of
 * the last look: each destination is asked for. */
#ifndef EGRESS_ROUTE_H
#define EGRESS_ROUTE_H

#include "base/err.h"
#include "egress/place.h"

must_check int route_table_open(int *out_fd, struct err *err);
/* 0: it leaves this machine by a unicast route. Else an errno: EACCES for an address of this
 * machine, broadcast and the like; ENETUNREACH, EHOSTUNREACH … when there is no way. About 5 us. */
int route_check(int table_fd, const struct place *to);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Closes packet sockets beside the loop: the kernel waits a grace period (16 ms) for each. */
#ifndef EGRESS_CLOSER_H
#define EGRESS_CLOSER_H

#include "base/err.h"

struct closer;

must_check int closer_new(struct closer **out, struct err *err);
void closer_free(struct closer *c);        /* finishes its work first; NULL is fine */
void closer_put(struct closer *c, int fd); /* takes it; negative is fine */

#endif

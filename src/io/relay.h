/* SPDX-License-Identifier: Apache-2.0 */
/* Copies bytes both ways between two descriptors until both directions have ended, with bounded
 * memory and half-close kept: the tunnel behind an Upgrade. */
#ifndef IO_RELAY_H
#define IO_RELAY_H

#include "base/str.h"
#include "io/loop.h"

struct relay;

/* Takes both descriptors, also when it fails. `to_a` and `to_b` are bytes already read from the
 * other side (copied). on_end is called once, after both are closed: the relay frees itself after
 * it returns. idle_ms without a byte in either direction ends it; 0 = never. */
must_check int relay_start(struct loop *l, int a, int b, struct str to_a, struct str to_b,
                           uint64_t idle_ms, loop_fn *on_end, void *ctx, struct relay **out,
                           struct err *err);
void relay_abort(struct relay *r); /* closes both, no callback */

#endif

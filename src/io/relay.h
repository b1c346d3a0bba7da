/* SPDX-License-Identifier: Apache-2.0 */
/* Copies bytes both ways between two descriptors until both directions have ended, with bounded
 * memory and half-close kept: the tunnel behind an Upgrade. Bulk is spliced, not copied. SIGPIPE
 * must be ignored. */
#ifndef IO_RELAY_H
#define IO_RELAY_H

#include "base/str.h"
#include "io/pace.h"
#include "io/transport.h"

struct relay;

struct relay_spec {
    int a, b;              /* taken, also when the start fails */
    struct str to_a, to_b; /* already read from the other side; copied */
    uint64_t idle_ms;      /* without a byte in either direction it ends; 0 = never */
    loop_fn *on_end;       /* once, after both are closed; the relay frees itself afterwards */
    void *ctx;
    bool is_strict; /* a side that is cut off, or relay_abort(), resets the other: it must not
                       look like an end */
    struct pace *pace_a, *pace_b;      /* of what leaves a, and b; NULL: none. The caller's, who may
                                          share them; they outlive the relay */
    uint64_t *bytes_a, *bytes_b;       /* grow by what was read of a, and of b; the same. NULL: not
                                          counted */
    struct transport *over_a, *over_b; /* instead of the descriptors, which are -1 then; taken as
                                          they are */
};

must_check int relay_start(struct loop *l, const struct relay_spec *spec, struct relay **out,
                           struct err *err);
void relay_refuse(const struct relay_spec *spec); /* close both instead of starting */
void relay_abort(struct relay *r);                /* closes both, no callback */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a sandbox: one table of states and legal moves, one writer.
 *
 * What follows from being in a state (is it listed, does its deadline run, what do edges see) are
 * columns, so that nobody asks "which state is it" to decide. sandbox_move() is the only function
 * that writes sandbox->state. */
#ifndef DOMAIN_SANDBOX_STATE_H
#define DOMAIN_SANDBOX_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct sandbox;

enum sandbox_state {
    SANDBOX_STARTING = 1, /* launched, not yet acknowledged */
    SANDBOX_RUNNING,
    SANDBOX_PAUSING,
    SANDBOX_PAUSED,
    SANDBOX_RESUMING,
    SANDBOX_SNAPSHOTTING,
    SANDBOX_KILLING,
    SANDBOX_KILLED, /* only for the moment before it is freed */
    SANDBOX_STATE_COUNT,
};

/* What the REST API says of a state (semantics.md 2.2). */
enum sandbox_public {
    SANDBOX_PUBLIC_NONE, /* as if it did not exist */
    SANDBOX_PUBLIC_RUNNING,
    SANDBOX_PUBLIC_PAUSED,
};

struct sandbox_state_row {
    const char *name;
    uint32_t next; /* bit set of the states it may move to */
    enum sandbox_public shown;
    bool has_deadline;              /* endAt is enforced */
    uint32_t route;                 /* enum route_state; 0: edges know nothing of it */
    bool may_pause;                 /* now, or once what is under way has ended */
    enum sandbox_state restarts_as; /* what a record in this state is when api starts: nobody waits
                                       any more, and node's list says what has become of it */
};

const struct sandbox_state_row *sandbox_state_row(enum sandbox_state state);
bool sandbox_state_may(enum sandbox_state from, enum sandbox_state to);
const char *sandbox_public_name(enum sandbox_public shown); /* "running", "paused", "" */

/* Move and do what the columns ask: deadline, team index, route push. An illegal move is a bug. */
void sandbox_move(struct sandbox *s, enum sandbox_state to);

enum kill_reason {
    KILL_NONE,
    KILL_REQUEST,
    KILL_TIMEOUT,
    KILL_ORPHANED, /* a guest without a record, or the remains of a create that failed */
    KILL_OOM,
    KILL_DISK,
    KILL_EXITED,    /* its first process ended, or the node no longer has it */
    KILL_RETENTION, /* it was paused for as long as the configuration keeps those */
    KILL_REASON_COUNT,
};

const char *kill_reason_name(enum kill_reason reason);

#endif

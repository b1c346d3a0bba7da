/* SPDX-License-Identifier: Apache-2.0 */
/* The transition table and the only writer of sandbox->state. Used by the files of this folder. */
#include "domain/sandbox_state.h"

#include <assert.h>

#include "base/own.h"
#include "domain/deadline.h"
#include "domain/domain_internal.h"
#include "domain/sandbox_index.h"
#include "domain/sandbox_wake.h"
#include "domain/signer.h"
#include "ipc/route_messages.h"

enum {
    TO_RUNNING = 1 << SANDBOX_RUNNING,
    TO_PAUSING = 1 << SANDBOX_PAUSING,
    TO_PAUSED = 1 << SANDBOX_PAUSED,
    TO_RESUMING = 1 << SANDBOX_RESUMING,
    TO_SNAPSHOTTING = 1 << SANDBOX_SNAPSHOTTING,
    TO_KILLING = 1 << SANDBOX_KILLING,
    TO_KILLED = 1 << SANDBOX_KILLED,
};

/* clang-format off */
static const struct sandbox_state_row states[SANDBOX_STATE_COUNT] = {
    [SANDBOX_STARTING] = {"starting", TO_RUNNING | TO_KILLING | TO_KILLED, SANDBOX_PUBLIC_NONE,
                          false, ROUTE_TRANSITION, false, SANDBOX_STARTING},
    [SANDBOX_RUNNING] = {"running",
                         TO_PAUSING | TO_RESUMING | TO_SNAPSHOTTING | TO_KILLING | TO_KILLED,
                         SANDBOX_PUBLIC_RUNNING, true, ROUTE_RUNNING, true, SANDBOX_RUNNING},
    [SANDBOX_PAUSING] = {"pausing", TO_PAUSED | TO_RUNNING | TO_KILLING | TO_KILLED,
                         SANDBOX_PUBLIC_PAUSED, false, ROUTE_TRANSITION, true, SANDBOX_RUNNING},
    [SANDBOX_PAUSED] = {"paused", TO_RESUMING | TO_KILLING | TO_KILLED, SANDBOX_PUBLIC_PAUSED,
                        false, ROUTE_PAUSED, false, SANDBOX_PAUSED},
    [SANDBOX_RESUMING] = {"resuming", TO_RUNNING | TO_PAUSED | TO_KILLING | TO_KILLED,
                          SANDBOX_PUBLIC_PAUSED, false, ROUTE_TRANSITION, false, SANDBOX_PAUSED},
    [SANDBOX_SNAPSHOTTING] = {"snapshotting", TO_RUNNING | TO_PAUSING | TO_KILLING | TO_KILLED,
                              SANDBOX_PUBLIC_RUNNING, false, ROUTE_RUNNING, true, SANDBOX_RUNNING},
    [SANDBOX_KILLING] = {"killing", TO_KILLED, SANDBOX_PUBLIC_NONE, false, 0, false,
                         SANDBOX_KILLING},
    [SANDBOX_KILLED] = {"killed", 0, SANDBOX_PUBLIC_NONE, false, 0, false, SANDBOX_KILLED},
};
/* clang-format on */

static const char *const public_names[] = {
    [SANDBOX_PUBLIC_NONE] = "",
    [SANDBOX_PUBLIC_RUNNING] = "running",
    [SANDBOX_PUBLIC_PAUSED] = "paused",
};

static const char *const reason_names[] = {
    [KILL_NONE] = "none",       [KILL_REQUEST] = "request",
    [KILL_TIMEOUT] = "timeout", [KILL_ORPHANED] = "orphaned",
    [KILL_OOM] = "oom",         [KILL_DISK] = "disk",
    [KILL_EXITED] = "exited",   [KILL_RETENTION] = "retention",
};

const struct sandbox_state_row *sandbox_state_row(enum sandbox_state state)
{
    assert(state >= SANDBOX_STARTING && state < SANDBOX_STATE_COUNT);
    return &states[state];
}

bool sandbox_state_may(enum sandbox_state from, enum sandbox_state to)
{
    return (sandbox_state_row(from)->next & (1U << to)) != 0;
}

const char *sandbox_public_name(enum sandbox_public shown)
{
    return public_names[shown];
}

const char *kill_reason_name(enum kill_reason reason)
{
    return (size_t)reason < COUNT_OF(reason_names) ? reason_names[reason] : "unknown";
}

void sandbox_move(struct sandbox *s, enum sandbox_state to)
{
    const struct sandbox_state_row *was = sandbox_state_row(s->state);
    const struct sandbox_state_row *is = sandbox_state_row(to);

    assert(sandbox_state_may(s->state, to));
    domain_sign(s);
    s->state = to;
    s->r.state = (int32_t)to;
    deadline_set(s);
    sandbox_index_set(s);
    signer_set(s);
    wakers_tell(s);
    if (is->route != was->route)
        domain_route(s);
}

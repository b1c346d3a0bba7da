/* SPDX-License-Identifier: Apache-2.0 */
/* Names and weights of events, and the way out of this layer. */
#include "domain/event.h"

#include "base/clock.h"
#include "domain/domain_internal.h"

static const struct {
    const char *name;
    enum event_weight weight;
} kinds[EVENT_COUNT] = {
    [EVENT_SANDBOX_CREATED] = {"sandbox.created",       EVENT_NOTE   },
    [EVENT_SANDBOX_CREATE_FAILED] = {"sandbox.create_failed", EVENT_WARNING},
    [EVENT_SANDBOX_UPDATED] = {"sandbox.updated",       EVENT_NOTE   },
    [EVENT_SANDBOX_KILLED] = {"sandbox.killed",        EVENT_NOTE   },
    [EVENT_SANDBOX_KILL_FAILED] = {"sandbox.kill_failed",   EVENT_WARNING},
    [EVENT_SANDBOX_KILL_ALARM] = {"sandbox.kill_alarm",    EVENT_ALARM  },
    [EVENT_NODE_READY] = {"node.ready",            EVENT_NOTE   },
    [EVENT_NODE_LOST] = {"node.lost",             EVENT_WARNING},
    [EVENT_STORE_FAILED] = {"store.failed",          EVENT_ALARM  },
    [EVENT_TEMPLATE_BAD] = {"template.bad",          EVENT_WARNING},
    [EVENT_KEY_CREATED] = {"key.created",           EVENT_NOTE   },
    [EVENT_KEY_REVOKED] = {"key.revoked",           EVENT_NOTE   },
    [EVENT_TEAM_CREATED] = {"team.created",          EVENT_NOTE   },
};

const char *event_name(enum event_kind kind)
{
    return kinds[kind].name;
}

enum event_weight event_weight(enum event_kind kind)
{
    return kinds[kind].weight;
}

void event_emit(struct domain *d, struct event e)
{
    e.at_ms = clock_wall_ms();
    if (d->hooks->on_event != NULL)
        d->hooks->on_event(d->hooks_ctx, &e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Names and weights of events, and the way out of this layer. */
#include "domain/event.h"

#include <assert.h>

#include "base/clock.h"
#include "domain/domain_internal.h"
#include "domain/event_log.h"
#include "domain/webhook.h"

static const struct {
    const char *name;
    enum event_weight weight;
} kinds[EVENT_COUNT] = {
    [EVENT_SANDBOX_CREATED] = {"sandbox.created",           EVENT_NOTE   },
    [EVENT_SANDBOX_CREATE_FAILED] = {"sandbox.create_failed",     EVENT_WARNING},
    [EVENT_SANDBOX_UPDATED] = {"sandbox.updated",           EVENT_NOTE   },
    [EVENT_SANDBOX_KILLED] = {"sandbox.killed",            EVENT_NOTE   },
    [EVENT_SANDBOX_KILL_FAILED] = {"sandbox.kill_failed",       EVENT_WARNING},
    [EVENT_SANDBOX_KILL_ALARM] = {"sandbox.kill_alarm",        EVENT_ALARM  },
    [EVENT_NODE_READY] = {"node.ready",                EVENT_NOTE   },
    [EVENT_NODE_LOST] = {"node.lost",                 EVENT_WARNING},
    [EVENT_STORE_FAILED] = {"store.failed",              EVENT_ALARM  },
    [EVENT_TEMPLATE_BAD] = {"template.bad",              EVENT_WARNING},
    [EVENT_KEY_CREATED] = {"key.created",               EVENT_NOTE   },
    [EVENT_KEY_REVOKED] = {"key.revoked",               EVENT_NOTE   },
    [EVENT_TEAM_CREATED] = {"team.created",              EVENT_NOTE   },
    [EVENT_TEAM_CHANGED] = {"team.changed",              EVENT_NOTE   },
    [EVENT_KEY_ROTATED] = {"key.rotated",               EVENT_NOTE   },
    [EVENT_KEY_CHANGED] = {"key.changed",               EVENT_NOTE   },
    [EVENT_KEY_REFUSED] = {"key.refused",               EVENT_WARNING},
    [EVENT_KEY_ORPHANED] = {"key.orphaned",              EVENT_WARNING},
    [EVENT_KEYS_LOADED] = {"keys.loaded",               EVENT_NOTE   },
    [EVENT_KEYS_BAD] = {"keys.bad",                  EVENT_WARNING},
    [EVENT_NODE_STATUS] = {"node.status",               EVENT_NOTE   },
    [EVENT_WEBHOOK_CREATED] = {"webhook.created",           EVENT_NOTE   },
    [EVENT_WEBHOOK_CHANGED] = {"webhook.changed",           EVENT_NOTE   },
    [EVENT_WEBHOOK_REMOVED] = {"webhook.removed",           EVENT_NOTE   },
    [EVENT_SANDBOX_PAUSED] = {"sandbox.paused",            EVENT_NOTE   },
    [EVENT_SANDBOX_PAUSE_FAILED] = {"sandbox.pause_failed",      EVENT_WARNING},
    [EVENT_SANDBOX_RESUMED] = {"sandbox.resumed",           EVENT_NOTE   },
    [EVENT_SANDBOX_RESUME_FAILED] = {"sandbox.resume_failed",     EVENT_WARNING},
    [EVENT_SANDBOX_CHECKPOINTED] = {"sandbox.checkpointed",      EVENT_NOTE   },
    [EVENT_SANDBOX_CHECKPOINT_FAILED] = {"sandbox.checkpoint_failed", EVENT_WARNING},
    [EVENT_SANDBOX_ROLLED_BACK] = {"sandbox.rolled_back",       EVENT_NOTE   },
    [EVENT_SANDBOX_FROZEN] = {"sandbox.frozen",            EVENT_WARNING},
    [EVENT_SNAPSHOT_REMOVED] = {"snapshot.removed",          EVENT_NOTE   },
    [EVENT_TEMPLATE_CREATED] = {"template.created",          EVENT_NOTE   },
    [EVENT_TEMPLATE_CHANGED] = {"template.changed",          EVENT_NOTE   },
    [EVENT_TEMPLATE_REMOVED] = {"template.removed",          EVENT_NOTE   },
    [EVENT_BUILD_STARTED] = {"build.started",             EVENT_NOTE   },
    [EVENT_BUILD_READY] = {"build.ready",               EVENT_NOTE   },
    [EVENT_BUILD_FAILED] = {"build.failed",              EVENT_NOTE   },
    [EVENT_SECRET_CREATED] = {"secret.created",            EVENT_NOTE   },
    [EVENT_SECRET_CHANGED] = {"secret.changed",            EVENT_NOTE   },
    [EVENT_SECRET_REMOVED] = {"secret.removed",            EVENT_NOTE   },
};

const char *event_name(enum event_kind kind)
{
    return kinds[kind].name;
}

enum event_weight event_weight(enum event_kind kind)
{
    return kinds[kind].weight;
}

/* wire.md section 8; NULL: nothing that clients of the reference know. */
static const char *const lifecycle_types[EVENT_COUNT] = {
    [EVENT_SANDBOX_CREATED] = "sandbox.lifecycle.created",
    [EVENT_SANDBOX_UPDATED] = "sandbox.lifecycle.updated",
    [EVENT_SANDBOX_KILLED] = "sandbox.lifecycle.killed",
    [EVENT_SANDBOX_PAUSED] = "sandbox.lifecycle.paused",
    [EVENT_SANDBOX_RESUMED] = "sandbox.lifecycle.resumed",
    [EVENT_SANDBOX_CHECKPOINTED] = "sandbox.lifecycle.checkpointed",
};

const char *event_type(enum event_kind kind)
{
    return lifecycle_types[kind] != NULL ? lifecycle_types[kind] : kinds[kind].name;
}

bool event_is_of_sandbox(enum event_kind kind)
{
    return str_has_prefix(str_of(kinds[kind].name), "sandbox.");
}

bool event_type_matches(struct str type, struct str wanted)
{
    struct str head = str_upto(wanted, wanted.len > 0 ? wanted.len - 1 : 0);

    if (wanted.len == 0 || str_eq(type, wanted) || str_is(wanted, "*"))
        return true;
    return str_has_suffix(wanted, ".*") && str_eq(str_upto(type, head.len), head);
}

static void date(const struct domain *d, struct event *e)
{
    e->at_ms = clock_wall_ms();
    if (e->actor.len == 0)
        e->actor = domain_actor(d);
}

static void tell(struct domain *d, const struct event *e)
{
    if (d->hooks->on_event != NULL)
        d->hooks->on_event(d->hooks_ctx, e);
}

void event_emit(struct domain *d, struct event e)
{
    date(d, &e);
    event_log_add(d, &e);
    tell(d, &e);
}

int event_prepare(struct domain *d, struct event e, struct event_draft **out, struct err *err)
{
    assert(e.detail == NULL);
    date(d, &e);
    return event_log_prepare(d, &e, out, err);
}

void event_settle(struct domain *d, struct event_draft *draft, bool is_stored)
{
    if (draft == NULL)
        return;
    if (is_stored) {
        struct event e = event_log_publish(d, draft);

        tell(d, &e);
    } else {
        event_log_discard(d, draft);
    }
    webhook_on_durable(d);
}

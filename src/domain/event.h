/* SPDX-License-Identifier: Apache-2.0 */
/* What happened, told to whoever listens: api logs it; webhooks and the event log hang on the same
 * hook. This layer never logs. */
#ifndef DOMAIN_EVENT_H
#define DOMAIN_EVENT_H

#include "base/err.h"
#include "base/str.h"
#include "domain/sandbox_state.h"

struct domain;

enum event_kind {
    EVENT_SANDBOX_CREATED,
    EVENT_SANDBOX_CREATE_FAILED,
    EVENT_SANDBOX_UPDATED, /* its end moved */
    EVENT_SANDBOX_KILLED,
    EVENT_SANDBOX_KILL_FAILED, /* one try; it is repeated */
    EVENT_SANDBOX_KILL_ALARM,  /* so many tries that somebody must look */
    EVENT_NODE_READY,          /* connected and compared with the records */
    EVENT_NODE_LOST,
    EVENT_STORE_FAILED,
    EVENT_TEMPLATE_BAD, /* a template file that cannot be used */
    EVENT_KEY_CREATED,
    EVENT_KEY_REVOKED,
    EVENT_TEAM_CREATED,
    EVENT_TEAM_CHANGED,
    EVENT_KEY_ROTATED,  /* the new one */
    EVENT_KEY_CHANGED,  /* its name */
    EVENT_KEY_REFUSED,  /* somebody tries one that is no longer valid */
    EVENT_KEY_ORPHANED, /* a record of a team that does not exist */
    EVENT_KEYS_LOADED,  /* from the keys file */
    EVENT_KEYS_BAD,     /* something in it, or in the environment, is to be seen to */
    EVENT_NODE_STATUS,  /* an operator changed it */
    EVENT_WEBHOOK_CREATED,
    EVENT_WEBHOOK_CHANGED,
    EVENT_WEBHOOK_REMOVED,
    EVENT_SANDBOX_PAUSED,
    EVENT_SANDBOX_PAUSE_FAILED, /* it runs as before */
    EVENT_SANDBOX_RESUMED,
    EVENT_SANDBOX_RESUME_FAILED, /* it is paused as before */
    EVENT_SANDBOX_CHECKPOINTED,  /* a snapshot of it was made */
    EVENT_SANDBOX_CHECKPOINT_FAILED,
    EVENT_SANDBOX_ROLLED_BACK,
    EVENT_SANDBOX_FROZEN, /* paused; its memory could not be kept on the disk */
    EVENT_SNAPSHOT_REMOVED,
    EVENT_TEMPLATE_CREATED,
    EVENT_TEMPLATE_CHANGED,
    EVENT_TEMPLATE_REMOVED,
    EVENT_BUILD_STARTED,
    EVENT_BUILD_READY,
    EVENT_BUILD_FAILED, /* or cancelled; the detail says why */
    EVENT_SECRET_CREATED,
    EVENT_SECRET_CHANGED,
    EVENT_SECRET_REMOVED,
    EVENT_COUNT,
};

enum event_weight {
    EVENT_NOTE,
    EVENT_WARNING,
    EVENT_ALARM,
};

struct event {
    enum event_kind kind;
    struct str subject; /* id of the sandbox, key, team …; may be empty */
    struct str team_id;
    struct str actor; /* empty: whoever domain_act_as() named, or the system */
    enum kill_reason reason;
    const char *detail; /* for people; NULL: none */
    uint64_t took_us;
    int64_t at_ms;
};

const char *event_name(enum event_kind kind); /* "sandbox.created" */
enum event_weight event_weight(enum event_kind kind);

/* What clients see of it: "sandbox.lifecycle.killed" (wire.md 8), for others the name. */
const char *event_type(enum event_kind kind);
bool event_is_of_sandbox(enum event_kind kind);
/* Is it the type `wanted`? Empty and "*" are any, "sandbox.*" all that begin so. */
bool event_type_matches(struct str type, struct str wanted);

/* Fills in time, actor and what is known of the sandbox; keeps it in the event log with the
 * deliveries it causes; hands it to the hook. */
void event_emit(struct domain *d, struct event e);

/* An event that is stored with the change it tells of: both or neither. event_prepare() puts it
 * into the store; the caller commits in the same turn and passes it to event_settle() in the
 * callback of that commit, however that went. Nobody hears of it before. It has no detail. */
struct event_draft;

must_check int event_prepare(struct domain *d, struct event e, struct event_draft **out,
                             struct err *err);
/* Frees it. NULL is fine. */
void event_settle(struct domain *d, struct event_draft *draft, bool is_stored);

#endif

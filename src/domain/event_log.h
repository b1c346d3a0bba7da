/* SPDX-License-Identifier: Apache-2.0 */
/* Events that are kept: what happened to whom, by whom, why. Bounded by number and by age; in
 * memory for reading and in the store to survive.
 *
 * The beginning and the end of a sandbox are stored in the transaction that stores or removes its
 * record (event_prepare()), so that none begins or ends without an event, nor the other way round.
 * Other events are put into the store in the turn they happen and committed with the next commit,
 * at most EVENT_FLUSH_MS later; a crash in between loses them. Readers see events in the order of
 * their ids and none that may still be taken back: what is behind one that waits for its commit
 * waits with it. Ids are UUIDs of version 7: they sort by time and are the cursor of
 * readers. Users: event.c, webhook.c, api/events.c, api/logs.c. */
#ifndef DOMAIN_EVENT_LOG_H
#define DOMAIN_EVENT_LOG_H

#include "base/arena.h"
#include "base/list.h"
#include "codec/codec.h"
#include "domain/event.h"

enum {
    EVENT_FLUSH_MS = 50,
    EVENTS_MAX = 50000, /* default of domain_config.events_max; about 700 bytes each */
    EVENTS_DAYS = 7,    /* default of domain_config.events_days (wire.md 8) */
    EVENT_PAGE_MAX = 10000,
};

struct event_record {
    struct str id;
    int64_t at_ms;
    struct str type; /* event_type() */
    int32_t weight;  /* enum event_weight */
    struct str team_id;
    struct str actor; /* "key:<id>", "admin" or "system" */
    struct str subject;
    struct str reason; /* kill_reason_name(); empty: none */
    struct str detail;
    struct str template_id, build_id; /* of the sandbox */
    struct str data;                  /* JSON object: event_data of wire.md 8 */
    bool is_of_sandbox;
};

struct subject;

struct event_row {
    struct event_record r;
    struct list_node of_subject; /* oldest first */
    struct subject *subject;
};

struct event_query {
    struct str team_id; /* empty: all, the system's too */
    struct str subject; /* empty: any */
    struct str type;    /* as event_type_matches() */
    struct str after;   /* id to go on behind, in the direction of reading; empty: from the end */
    int64_t from_ms, until_ms; /* inclusive; 0: open */
    int32_t weight_min;
    bool is_descending;
    size_t limit; /* 1 to EVENT_PAGE_MAX */
};

/* Rows are good until control returns to the loop. NULL: the arena is too small. */
const struct event_row **event_log_query(const struct domain *d, const struct event_query *q,
                                         struct arena *a, size_t *out_count);
/* Was there ever (as far as is kept) such a sandbox of this team? */
bool event_log_knows(const struct domain *d, struct str team_id, struct str sandbox_id);
/* The team of a sandbox that is or was; empty: nobody knows. */
struct str event_log_team(const struct domain *d, struct str sandbox_id);

struct event_log_counters {
    size_t kept;
    uint64_t total;   /* since the process started */
    uint64_t evicted; /* to hold the bounds */
    uint64_t lost;    /* the store did not take them; they are in memory only */
};

const struct event_log_counters *event_log_counters(const struct domain *d);

/* For domain.c and event.c. */
struct event_log *event_log_new(struct domain *d);
void event_log_free(struct event_log *l);
must_check int event_log_load(struct domain *d, struct err *err);
void event_log_add(struct domain *d, const struct event *e);
/* event_prepare(), event_settle(): hidden in the log; shown (its texts are good until control
 * returns to the loop); gone. */
must_check int event_log_prepare(struct domain *d, const struct event *e, struct event_draft **out,
                                 struct err *err);
struct event event_log_publish(struct domain *d, struct event_draft *draft);
void event_log_discard(struct domain *d, struct event_draft *draft);
/* Commit soon what was put into the store without a commit of its own. */
void event_log_touch(struct domain *d);
/* Commit now what waits: before the store is closed. */
void event_log_flush(struct domain *d);

#endif

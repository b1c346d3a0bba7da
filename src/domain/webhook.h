/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks: who is told of which events, and the deliveries that are still owed.
 *
 * A delivery is made in the same transaction as its event, so an event that is kept is delivered,
 * at least once, in order per subject: a sandbox's next event waits until the one before was taken
 * or given up. A try that fails is repeated with backoff and jitter; after `tries_max`, or when the
 * receiver refuses for good, it goes to the webhook's dead letters, from where webhook_redeliver()
 * takes it. Receivers drop repetitions by the event's id.
 *
 * This layer decides; it does not speak HTTP. api/sender.c sends what webhook_sender_fn is given
 * and reports with webhook_result(). Where a URL leads is not checked against the host's own
 * addresses: who may make webhooks may make api send requests from this machine, so only keys that
 * the operator trusts should have the scope for it (SECURITY.md). */
#ifndef DOMAIN_WEBHOOK_H
#define DOMAIN_WEBHOOK_H

#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "codec/codec.h"
#include "domain/event.h"

struct event_row;
struct team;

enum {
    WEBHOOK_URL_MAX = 2048,
    WEBHOOK_NAME_MAX = 256,
    WEBHOOK_EVENTS_MAX = 32, /* types of one webhook */
    WEBHOOK_SECRET_MIN = 16, /* characters, when the caller brings one */
    WEBHOOK_SECRET_MAX = 256,
    WEBHOOKS_PER_TEAM_MAX = 20,
    WEBHOOKS_MAX = 1000,
    WEBHOOK_PENDING_MAX = 10000, /* owed by one webhook; more are lost, and counted */
    WEBHOOK_DEAD_MAX = 1000,     /* kept; the oldest goes first */
    DELIVERIES_MAX = 50000,      /* of all webhooks, dead ones included; about 1 KiB each */
    WEBHOOK_FLIGHT_MAX = 4,      /* of one webhook at once, each of another subject */
    WEBHOOK_TRIES_MAX = 20,      /* default: with the delays below about two hours */
    WEBHOOK_RETRY_MIN_MS = 1000, /* default; doubles, with up to a quarter of jitter */
    WEBHOOK_RETRY_MAX_MS = 10 * 60 * 1000,
};

struct webhook_record {
    struct str id, team_id, name, url;
    struct str secret;
    struct codec_list types; /* of struct str, as event_type_matches() */
    int64_t created_at_ms;
    bool is_disabled;
};

struct delivery_record {
    struct str id; /* "<event id>/<webhook id>": sorts by time */
    struct str webhook_id, event_id, subject, type;
    struct str body; /* JSON as it is signed and sent */
    int64_t created_at_ms;
    int64_t next_at_ms; /* of the next try */
    int64_t died_at_ms; /* 0: still owed */
    int32_t tries;
    int32_t status; /* of the last answer; 0: there was none */
    struct str error;
};

struct webhook {
    struct webhook_record r;
    struct arena mem;
    struct map lanes;  /* subject -> lane of webhook.c */
    struct list ready; /* lanes whose first delivery is due */
    struct list dead;  /* struct delivery, oldest first */
    size_t flight_count, pending_count, dead_count;
    uint64_t delivered, failed, lost; /* since the process started; failed: single tries */
};

struct delivery {
    struct list_node node;
    struct webhook *webhook;
    struct lane *lane; /* NULL: not durable yet, or dead */
    struct delivery_record r;
    uint64_t flush; /* the commit it waits for */
};

/* One try. Texts are good during the call; the answer is webhook_result() with the same id. */
struct webhook_order {
    struct str delivery_id, webhook_id, event_id, url, secret, body;
    int32_t tries; /* made before */
};

typedef void webhook_sender_fn(void *ctx, const struct webhook_order *order);
/* Until it is called nothing is sent. */
void webhook_set_sender(struct domain *d, webhook_sender_fn *fn, void *ctx);

enum webhook_verdict {
    WEBHOOK_TAKEN,
    WEBHOOK_AGAIN,   /* transport, 408, 425, 429, 5xx */
    WEBHOOK_REFUSED, /* another status: trying again does not help */
};

/* How a try ended. Unknown ids (the webhook was removed) are ignored. `status` 0: no answer. */
void webhook_result(struct domain *d, struct str delivery_id, enum webhook_verdict verdict,
                    unsigned status, struct str error);

struct webhook_params {
    struct str name, url;
    struct str secret;       /* empty: one is made */
    struct codec_list types; /* of struct str; none: all */
    bool is_disabled;
};

/* w NULL: it was removed. err NULL: durable. */
typedef void webhook_done_fn(void *ctx, const struct webhook *w, const struct err *err);

must_check int webhook_create(struct domain *d, const struct team *team,
                              const struct webhook_params *p, webhook_done_fn *fn, void *ctx,
                              struct err *err);
/* All of `p` but an empty secret replaces what was there. */
must_check int webhook_change(struct domain *d, const struct team *team, struct str id,
                              const struct webhook_params *p, webhook_done_fn *fn, void *ctx,
                              struct err *err);
/* What it still owes is dropped. */
must_check int webhook_remove(struct domain *d, const struct team *team, struct str id,
                              webhook_done_fn *fn, void *ctx, struct err *err);
const struct webhook *webhook_find(const struct domain *d, const struct team *team, struct str id);
/* Of one team, oldest first; NULL when the arena is too small. */
const struct webhook **webhook_list(const struct domain *d, const struct team *team,
                                    struct arena *a, size_t *out_count);
/* The dead letter of an event, or all of them with an empty id, back to the end of its subject's
 * queue with all tries before it. Returns how many. */
size_t webhook_redeliver(struct domain *d, const struct team *team, struct str id,
                         struct str event_id);

/* Of all teams. */
struct webhook_totals {
    size_t webhooks, pending, dead;
    uint64_t delivered, failed, lost;
};

struct webhook_totals webhook_totals(const struct domain *d);

/* The body of an event for webhooks and readers: one JSON object. */
void event_json(const struct event_row *row, struct buf *out);

/* For domain.c and event_log.c. */
struct webhooks *webhooks_new(struct domain *d);
void webhooks_free(struct webhooks *w);
must_check int webhooks_load(struct domain *d, struct err *err);
void webhook_add(struct domain *d, const struct event_row *row);
/* The event did not happen after all; of one whose commit failed. */
void webhook_unmake(struct domain *d, struct str event_id);
void webhook_before_flush(struct domain *d);
void webhook_on_durable(struct domain *d);

#endif

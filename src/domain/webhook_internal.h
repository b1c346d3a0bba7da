/* SPDX-License-Identifier: Apache-2.0 */
/* What webhook.c and delivery.c share. */
#ifndef DOMAIN_WEBHOOK_INTERNAL_H
#define DOMAIN_WEBHOOK_INTERNAL_H

#include "domain/domain_internal.h"
#include "domain/webhook.h"

struct webhooks {
    struct domain *domain;
    struct map by_id;      /* struct webhook */
    struct list ops;       /* webhook.c: changes waiting for their commit */
    struct map deliveries; /* by id, dead ones too */
    struct list fresh;     /* deliveries that are not durable yet, oldest first */
    uint64_t flush, flushed;
    struct heap due; /* lanes that wait for their next try */
    struct timer timer;
    size_t flight_count;
    webhook_sender_fn *sender;
    void *sender_ctx;
};

extern const struct codec_message delivery_record_message;

/* delivery.c */
void delivery_load(struct webhooks *w, const struct delivery_record *r);
/* All of a webhook: with is_removed also from the store. */
void deliveries_drop(struct webhooks *all, struct webhook *w, bool is_removed);
void deliveries_pump(struct webhooks *all, struct webhook *w);
/* After the load: send what was owed. */
void deliveries_start(struct webhooks *all);

#endif

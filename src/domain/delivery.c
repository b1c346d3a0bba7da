/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries of webhooks: made with the event, sent in order per subject, repeated, given up. A
 * lane is the queue of one subject of one webhook; only its first delivery is ever on its way. */
#include <assert.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/id.h"
#include "domain/event_log.h"
#include "domain/pack.h"
#include "domain/webhook_internal.h"

enum {
    BODY_MAX = 32 << 10,
    FLIGHT_ALL_MAX = 64, /* tries at once, of all webhooks */
    LOOK_MS = 30 * 1000, /* wall time may be set while we sleep on monotonic time */
    DELAY_DOUBLINGS = 30,
};

struct lane {
    char *name;
    struct webhook *webhook;
    struct list deliveries;
    struct list_node ready; /* in webhook->ready */
    struct heap_node due;   /* in webhooks->due */
    bool is_busy;           /* its first delivery is on its way */
};

/* clang-format off */
static const struct codec_field delivery_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct delivery_record, id)},
    {2, "webhookId", CODEC_STRING, 0, offsetof(struct delivery_record, webhook_id)},
    {3, "eventId", CODEC_STRING, 0, offsetof(struct delivery_record, event_id)},
    {4, "subject", CODEC_STRING, 0, offsetof(struct delivery_record, subject)},
    {5, "type", CODEC_STRING, 0, offsetof(struct delivery_record, type)},
    {6, "body", CODEC_STRING, 0, offsetof(struct delivery_record, body)},
    {7, "createdAtMs", CODEC_INT64, 0, offsetof(struct delivery_record, created_at_ms)},
    {8, "nextAtMs", CODEC_INT64, 0, offsetof(struct delivery_record, next_at_ms)},
    {9, "diedAtMs", CODEC_INT64, 0, offsetof(struct delivery_record, died_at_ms)},
    {10, "tries", CODEC_INT32, 0, offsetof(struct delivery_record, tries)},
    {11, "status", CODEC_INT32, 0, offsetof(struct delivery_record, status)},
    {12, "error", CODEC_STRING, 0, offsetof(struct delivery_record, error)},
};
/* clang-format on */

const struct codec_message delivery_record_message = {"delivery", sizeof(struct delivery_record),
                                                      delivery_fields, COUNT_OF(delivery_fields)};

static void save(struct webhooks *all, const struct delivery_record *r, uint64_t *lost)
{
    struct buf bytes;

    buf_init(&bytes, STORE_VALUE_MAX);
    proto_encode(&delivery_record_message, r, &bytes);
    /* The store is behind: it is still sent, but a restart would not know. */
    if (!buf_ok(&bytes) ||
        store_put(all->domain->store, STORE_DELIVERY, r->id, buf_str(&bytes), NULL) != 0)
        ++*lost;
    buf_done(&bytes);
    event_log_touch(all->domain);
}

static void unsave(struct webhooks *all, struct str id)
{
    /* If the store is behind it will be sent once more after a restart: at least once. */
    ignore(store_remove(all->domain->store, STORE_DELIVERY, id, NULL));
    event_log_touch(all->domain);
}

static struct lane *lane_of(struct webhook *w, struct str name)
{
    struct lane *lane = map_get(&w->lanes, name);

    if (lane != NULL)
        return lane;
    lane = mem_zero(sizeof(*lane));
    lane->name = mem_zero(name.len + 1);
    if (name.len > 0)
        memcpy(lane->name, name.at, name.len);
    lane->webhook = w;
    map_put(&w->lanes, (struct str){lane->name, name.len}, lane);
    return lane;
}

static void lane_free(struct webhooks *all, struct lane *lane)
{
    heap_remove(&all->due, &lane->due);
    list_remove(&lane->ready);
    map_remove(&lane->webhook->lanes, str_of(lane->name));
    free(lane->name);
    free(lane);
}

static void delivery_free(struct webhooks *all, struct delivery *v)
{
    list_remove(&v->node);
    map_remove(&all->deliveries, v->r.id);
    free(v);
}

static void send_first(struct webhooks *all, struct lane *lane)
{
    struct webhook *w = lane->webhook;
    struct delivery *v = container_of(list_first(&lane->deliveries), struct delivery, node);
    struct webhook_order order = {
        .delivery_id = v->r.id,
        .webhook_id = w->r.id,
        .event_id = v->r.event_id,
        .url = w->r.url,
        .secret = w->r.secret,
        .body = v->r.body,
        .tries = v->r.tries,
    };

    lane->is_busy = true;
    w->flight_count++;
    all->flight_count++;
    all->sender(all->sender_ctx, &order);
}

void deliveries_pump(struct webhooks *all, struct webhook *w)
{
    while (all->sender != NULL && !w->r.is_disabled && w->flight_count < WEBHOOK_FLIGHT_MAX &&
           all->flight_count < FLIGHT_ALL_MAX && list_first(&w->ready) != NULL)
        send_first(all, container_of(list_pop(&w->ready), struct lane, ready));
}

static void on_due(void *ctx);

static void arm(struct webhooks *all)
{
    struct heap_node *first = heap_min(&all->due);
    int64_t now = clock_wall_ms();
    uint64_t delay = LOOK_MS;

    if (first == NULL) {
        timer_stop(&all->timer);
        return;
    }
    if ((int64_t)first->key - now < LOOK_MS)
        delay = (int64_t)first->key > now ? first->key - (uint64_t)now : 0;
    timer_start(all->domain->loop, &all->timer, delay, on_due, all);
}

/* What is to be done with a lane whose first delivery may have changed. */
static void lane_wake(struct webhooks *all, struct lane *lane)
{
    struct list_node *n = list_first(&lane->deliveries);
    struct delivery *v = n == NULL ? NULL : container_of(n, struct delivery, node);

    if (lane->is_busy || list_linked(&lane->ready))
        return;
    if (v == NULL) {
        lane_free(all, lane);
    } else if (v->r.next_at_ms > clock_wall_ms()) {
        heap_put(&all->due, &lane->due, (uint64_t)v->r.next_at_ms);
        arm(all);
    } else {
        heap_remove(&all->due, &lane->due);
        list_push(&lane->webhook->ready, &lane->ready);
    }
}

static void on_due(void *ctx)
{
    struct webhooks *all = ctx;
    struct heap_node *first;

    while ((first = heap_min(&all->due)) != NULL && (int64_t)first->key <= clock_wall_ms()) {
        struct lane *lane = container_of(first, struct lane, due);
        struct webhook *w = lane->webhook;

        heap_remove(&all->due, first);
        lane_wake(all, lane);
        deliveries_pump(all, w);
    }
    arm(all);
}

static void enqueue(struct webhooks *all, struct delivery *v)
{
    struct webhook *w = v->webhook;
    struct lane *lane = lane_of(w, v->r.subject);

    list_remove(&v->node);
    list_push(&lane->deliveries, &v->node);
    v->lane = lane;
    lane_wake(all, lane);
    deliveries_pump(all, w);
}

/* Making them */

static bool wants(const struct webhook *w, const struct event_record *e)
{
    const struct str *types = w->r.types.items;

    if (w->r.is_disabled || !str_eq(w->r.team_id, e->team_id) || str_eq(w->r.id, e->subject))
        return false;
    for (size_t i = 0; i < w->r.types.count; i++)
        if (event_type_matches(e->type, types[i]))
            return true;
    return w->r.types.count == 0;
}

static struct delivery *delivery_new(struct webhooks *all, struct webhook *w,
                                     const struct delivery_record *r)
{
    struct delivery *v = pack_new(&delivery_record_message, r, sizeof(struct delivery),
                                  offsetof(struct delivery, r));

    v->webhook = w;
    map_put(&all->deliveries, v->r.id, v);
    return v;
}

static void make(struct webhooks *all, struct webhook *w, const struct event_row *row,
                 struct str body)
{
    char id[2 * UUID_LEN + 2];
    struct delivery_record r = {
        .webhook_id = w->r.id,
        .event_id = row->r.id,
        .subject = row->r.subject,
        .type = row->r.type,
        .body = body,
        .created_at_ms = row->r.at_ms,
        .next_at_ms = row->r.at_ms,
    };
    struct delivery *v;

    if (w->pending_count >= WEBHOOK_PENDING_MAX || all->deliveries.count >= DELIVERIES_MAX) {
        w->lost++;
        return;
    }
    snprintf(id, sizeof(id), "%.*s/%.*s", STR_ARG(row->r.id), STR_ARG(w->r.id));
    r.id = str_of(id);
    v = delivery_new(all, w, &r);
    v->flush = all->flush;
    w->pending_count++;
    list_push(&all->fresh, &v->node);
    save(all, &v->r, &w->lost);
}

void webhook_add(struct domain *d, const struct event_row *row)
{
    struct webhooks *all = d->webhooks;
    size_t cursor = 0;
    struct webhook *w;
    struct buf body;

    if (all->by_id.count == 0 || row->r.team_id.len == 0)
        return;
    buf_init(&body, BODY_MAX);
    while ((w = map_next(&all->by_id, &cursor)) != NULL) {
        if (!wants(w, &row->r))
            continue;
        if (body.len == 0)
            event_json(row, &body);
        if (buf_ok(&body))
            make(all, w, row, buf_str(&body));
        else
            w->lost++;
    }
    buf_done(&body);
}

void webhook_before_flush(struct domain *d)
{
    d->webhooks->flush++;
}

/* Few are fresh, and a commit seldom fails. */
void webhook_unmake(struct domain *d, struct str event_id)
{
    struct webhooks *all = d->webhooks;
    struct list_node *n = list_first(&all->fresh);

    while (n != NULL) {
        struct delivery *v = container_of(n, struct delivery, node);

        n = list_next(&all->fresh, n);
        if (!str_eq(v->r.event_id, event_id))
            continue;
        v->webhook->pending_count--;
        delivery_free(all, v);
    }
}

/* Also after a commit that failed: to tell late is better than never. */
void webhook_on_durable(struct domain *d)
{
    struct webhooks *all = d->webhooks;
    struct list_node *n;

    all->flushed++;
    while ((n = list_first(&all->fresh)) != NULL) {
        struct delivery *v = container_of(n, struct delivery, node);

        if (v->flush >= all->flushed)
            break;
        enqueue(all, v);
    }
}

/* How they end */

static uint64_t delay_of(const struct domain *d, int32_t tries)
{
    uint64_t min = d->config.webhook_retry_ms, delay;
    int doublings = tries - 1 < DELAY_DOUBLINGS ? tries - 1 : DELAY_DOUBLINGS;
    uint32_t dice;

    if (min == 0)
        min = WEBHOOK_RETRY_MIN_MS;
    delay = min << doublings;
    if (delay > WEBHOOK_RETRY_MAX_MS)
        delay = WEBHOOK_RETRY_MAX_MS;
    id_random(&dice, sizeof(dice));
    return delay + dice % (delay / 4 + 1);
}

static void bury(struct webhooks *all, struct delivery *v)
{
    struct webhook *w = v->webhook;

    v->r.died_at_ms = clock_wall_ms();
    v->lane = NULL;
    list_remove(&v->node);
    list_push(&w->dead, &v->node);
    w->pending_count--;
    w->dead_count++;
    save(all, &v->r, &w->lost);
    if (w->dead_count > WEBHOOK_DEAD_MAX) {
        struct delivery *oldest = container_of(list_first(&w->dead), struct delivery, node);

        w->dead_count--;
        w->lost++;
        unsave(all, oldest->r.id);
        delivery_free(all, oldest);
    }
}

/* A copy of `v` with another error text: its texts are one allocation. */
static struct delivery *with_error(struct webhooks *all, struct delivery *v, struct str error)
{
    struct delivery_record r = v->r;
    struct lane *lane = v->lane;
    struct delivery *copy;

    r.error = str_upto(error, sizeof(((struct err *)0)->text));
    map_remove(&all->deliveries, v->r.id);
    copy = delivery_new(all, v->webhook, &r);
    copy->lane = lane;
    copy->node = (struct list_node){0};
    list_remove(&v->node);
    free(v);
    return copy;
}

static void failed(struct webhooks *all, struct delivery *v, enum webhook_verdict verdict)
{
    uint64_t tries_max = all->domain->config.webhook_tries_max;
    struct lane *lane = v->lane;

    v->webhook->failed++;
    v->r.tries++;
    if (tries_max == 0)
        tries_max = WEBHOOK_TRIES_MAX;
    if (verdict == WEBHOOK_REFUSED || v->r.tries >= (int32_t)tries_max) {
        bury(all, v);
        return;
    }
    v->r.next_at_ms = clock_wall_ms() + (int64_t)delay_of(all->domain, v->r.tries);
    list_push_first(&lane->deliveries, &v->node);
    save(all, &v->r, &v->webhook->lost);
}

void webhook_result(struct domain *d, struct str delivery_id, enum webhook_verdict verdict,
                    unsigned status, struct str error)
{
    struct webhooks *all = d->webhooks;
    struct delivery *v = map_get(&all->deliveries, delivery_id);
    bool was_full = all->flight_count >= FLIGHT_ALL_MAX;
    struct lane *lane = v == NULL ? NULL : v->lane;
    size_t cursor = 0;
    struct webhook *w;

    if (lane == NULL || !lane->is_busy || list_first(&lane->deliveries) != &v->node)
        return;
    w = lane->webhook;
    lane->is_busy = false;
    w->flight_count--;
    all->flight_count--;
    v->r.status = (int32_t)status;
    if (verdict == WEBHOOK_TAKEN) {
        w->delivered++;
        w->pending_count--;
        unsave(all, v->r.id);
        delivery_free(all, v);
    } else {
        failed(all, with_error(all, v, error), verdict);
    }
    lane_wake(all, lane);
    deliveries_pump(all, w);
    while (was_full && (w = map_next(&all->by_id, &cursor)) != NULL)
        deliveries_pump(all, w);
}

static void revive(struct webhooks *all, struct delivery *v)
{
    struct webhook *w = v->webhook;

    v->r.died_at_ms = 0;
    v->r.tries = 0;
    v->r.next_at_ms = clock_wall_ms();
    w->dead_count--;
    w->pending_count++;
    save(all, &v->r, &w->lost);
    enqueue(all, v);
}

size_t webhook_redeliver(struct domain *d, const struct team *team, struct str id,
                         struct str event_id)
{
    struct webhook *w = (struct webhook *)(uintptr_t)webhook_find(d, team, id);
    struct list_node *n = w == NULL ? NULL : list_first(&w->dead);
    size_t count = 0;

    while (n != NULL) {
        struct delivery *v = container_of(n, struct delivery, node);

        n = list_next(&w->dead, n);
        if (event_id.len > 0 && !str_eq(event_id, v->r.event_id))
            continue;
        revive(d->webhooks, v);
        count++;
    }
    return count;
}

/* Loading and dropping */

void delivery_load(struct webhooks *all, const struct delivery_record *r)
{
    struct webhook *w = map_get(&all->by_id, r->webhook_id);
    struct delivery *v;

    if (w == NULL) {
        unsave(all, r->id); /* its webhook was removed */
        return;
    }
    v = delivery_new(all, w, r);
    if (v->r.died_at_ms != 0) {
        list_push(&w->dead, &v->node);
        w->dead_count++;
    } else {
        w->pending_count++;
        list_push(&all->fresh, &v->node);
    }
}

void deliveries_start(struct webhooks *all)
{
    struct list_node *n;

    while ((n = list_first(&all->fresh)) != NULL)
        enqueue(all, container_of(n, struct delivery, node));
}

void deliveries_drop(struct webhooks *all, struct webhook *w, bool is_removed)
{
    size_t cursor = 0;
    struct delivery *v;
    struct lane *lane;

    while ((v = map_next(&all->deliveries, &cursor)) != NULL) {
        if (v->webhook != w)
            continue;
        if (is_removed)
            unsave(all, v->r.id);
        delivery_free(all, v);
    }
    cursor = 0;
    while ((lane = map_next(&w->lanes, &cursor)) != NULL)
        lane_free(all, lane);
    map_done(&w->lanes);
    all->flight_count -= w->flight_count;
    arm(all);
}

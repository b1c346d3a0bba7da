/* SPDX-License-Identifier: Apache-2.0 */
/* The expiry queue. Fed by sandbox_move() and sandbox_set_end(); calls sandbox_expire(). */
#include "domain/deadline.h"

#include "base/clock.h"
#include "domain/domain_internal.h"

static void on_due(void *ctx);

static void arm(struct domain *d)
{
    struct heap_node *first = heap_min(&d->deadlines);
    uint64_t now = (uint64_t)clock_wall_ms();
    uint64_t delay = 0;

    if (first == NULL) {
        timer_stop(&d->deadline_timer);
        d->deadline_armed = 0;
        return;
    }
    if (first->key > now)
        delay = first->key - now;
    if (delay > DEADLINE_LOOK_MS)
        delay = DEADLINE_LOOK_MS;
    if (timer_running(&d->deadline_timer) && d->deadline_armed == first->key)
        return;
    d->deadline_armed = first->key;
    timer_start(d->loop, &d->deadline_timer, delay, on_due, d);
}

static void on_due(void *ctx)
{
    struct domain *d = ctx;
    int64_t now = clock_wall_ms();
    struct domain_counters *n = &d->counters;
    int left = DEADLINE_BATCH;

    n->sweeper_wakes++;
    d->deadline_armed = 0;
    while (left-- > 0) {
        struct heap_node *first = heap_min(&d->deadlines);

        if (first == NULL || (int64_t)first->key > now)
            break;
        n->sweeper_visits++;
        if ((uint64_t)now - first->key > n->sweeper_late_ms_max && first->key > 0)
            n->sweeper_late_ms_max = (uint64_t)now - first->key;
        sandbox_expire(container_of(first, struct sandbox, deadline));
    }
    arm(d);
}

/* 0: none. */
static int64_t deadline_of(const struct sandbox *s)
{
    int64_t kept_ms = (int64_t)s->domain->config.paused_retention_s * 1000;

    if (s->state == SANDBOX_PAUSED && kept_ms > 0)
        return s->r.paused_at_ms + kept_ms;
    if (!sandbox_state_row(s->state)->has_deadline)
        return 0;
    return s->r.end_at_ms > 0 ? s->r.end_at_ms : 1;
}

void deadline_set(struct sandbox *s)
{
    struct domain *d = s->domain;
    int64_t end = deadline_of(s);

    if (end > 0)
        heap_put(&d->deadlines, &s->deadline, (uint64_t)end);
    else
        heap_remove(&d->deadlines, &s->deadline);
    arm(d);
}

void deadline_done(struct domain *d)
{
    timer_stop(&d->deadline_timer);
    heap_done(&d->deadlines);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See pace.h. Used by relay.c and src/egress/web_call.c. */
#include "io/pace.h"

enum { OVERDRAFT_MAX = 1 << 30 }; /* bytes; no read comes near it */

static bool has_some(struct pace *p, uint64_t now_ms)
{
    int64_t burst = (int64_t)(p->bytes_per_s / 1000 * PACE_BURST_MS) + 1;
    uint64_t passed_ms = now_ms - p->at_ms, gained;

    if (p->bytes_per_s == 0)
        return true;
    if (p->at_ms == 0 || passed_ms > PACE_WAIT_MAX_MS)
        passed_ms = PACE_WAIT_MAX_MS;
    gained = passed_ms * p->bytes_per_s / 1000;
    if (gained > 0) { /* else the time is kept until it is worth a byte */
        p->left += (int64_t)gained;
        p->at_ms = now_ms;
    }
    if (p->left > burst)
        p->left = burst;
    return p->left > 0;
}

void pace_spend(struct pace *p, uint64_t bytes)
{
    if (p->bytes_per_s == 0)
        return;
    p->left -= bytes > OVERDRAFT_MAX ? OVERDRAFT_MAX : (int64_t)bytes;
    if (p->left < -OVERDRAFT_MAX)
        p->left = -OVERDRAFT_MAX;
}

uint64_t pace_wait_ms(const struct pace *p)
{
    uint64_t missing = p->left > 0 ? 0 : (uint64_t)-p->left + 1;
    uint64_t wait_ms = p->bytes_per_s == 0 ? 0 : missing * 1000 / p->bytes_per_s + 1;

    return wait_ms > PACE_WAIT_MAX_MS ? PACE_WAIT_MAX_MS : wait_ms;
}

bool pace_ready(struct pace *p, const struct pace_turn *turn, uint64_t now_ms)
{
    bool is_first = list_first(&p->waiting) == NULL || (turn != NULL && p->served == turn);

    return p->bytes_per_s == 0 || (is_first && has_some(p, now_ms));
}

static void on_time(void *ctx)
{
    struct pace *p = ctx;
    struct list_node *first = list_first(&p->waiting);

    if (has_some(p, loop_now_ms(p->loop))) {
        struct pace_turn *turn = container_of(first, struct pace_turn, node);

        list_remove(first);
        p->served = turn;
        turn->fn(turn->ctx);
        p->served = NULL;
    }
    if (list_first(&p->waiting) != NULL && !timer_running(&p->timer))
        timer_start(p->loop, &p->timer, pace_wait_ms(p), on_time, p);
}

void pace_wait(struct pace *p, struct loop *l, struct pace_turn *turn, loop_fn *fn, void *ctx)
{
    bool is_alone = list_first(&p->waiting) == NULL;

    turn->pace = p;
    turn->fn = fn;
    turn->ctx = ctx;
    p->loop = l;
    list_push(&p->waiting, &turn->node);
    if (is_alone)
        timer_start(l, &p->timer, pace_wait_ms(p), on_time, p);
}

bool pace_waits(const struct pace_turn *turn)
{
    return list_linked(&turn->node);
}

void pace_leave(struct pace_turn *turn)
{
    if (!pace_waits(turn))
        return;
    list_remove(&turn->node);
    if (list_first(&turn->pace->waiting) == NULL)
        timer_stop(&turn->pace->timer);
}

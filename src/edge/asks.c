/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered questions; see asks.h. */
#include "edge/asks.h"

static struct str seq_key(const uint64_t *seq)
{
    return (struct str){(const char *)seq, sizeof *seq};
}

void ask_forget(struct ask *one)
{
    if (one->asks == NULL)
        return;
    timer_stop(&one->deadline);
    map_remove(&one->asks->by_seq, seq_key(&one->seq));
    one->asks = NULL;
}

static void finish(struct ask *one, enum err_kind kind, const struct route_answer *answer)
{
    ask_forget(one);
    one->fn(one->ctx, kind, answer);
}

static void on_deadline(void *ctx)
{
    static const struct route_answer none;

    finish(ctx, ERR_TIMEOUT, &none);
}

static void on_full(void *ctx)
{
    static const struct route_answer none;

    finish(ctx, ERR_UNAVAILABLE, &none);
}

void asks_init(struct asks *a, struct loop *l, struct link *link)
{
    *a = (struct asks){.loop = l, .link = link};
}

void asks_done(struct asks *a)
{
    map_done(&a->by_seq);
}

void asks_again(struct asks *a)
{
    size_t cursor = 0;
    struct ask *one;

    while ((one = map_next(&a->by_seq, &cursor)) != NULL)
        one->send(one->ctx, a->link, one->seq);
}

void asks_answer(struct asks *a, const struct route_answer *answer)
{
    struct ask *one = map_get(&a->by_seq, seq_key(&answer->seq));

    if (one != NULL) /* else the asker left */
        finish(one, answer->kind <= ERR_SYSTEM ? (enum err_kind)answer->kind : ERR_SYSTEM, answer);
}

void ask_start(struct asks *a, struct ask *one, uint64_t wait_ms, ask_send_fn *send, ask_fn *fn,
               void *ctx)
{
    bool is_full = a->by_seq.count >= ASKS_MAX;

    *one = (struct ask){.asks = a, .send = send, .fn = fn, .ctx = ctx, .seq = ++a->next_seq};
    map_put(&a->by_seq, seq_key(&one->seq), one);
    timer_start(a->loop, &one->deadline, is_full ? 0 : wait_ms, is_full ? on_full : on_deadline,
                one);
    if (!is_full)
        send(ctx, a->link, one->seq);
}

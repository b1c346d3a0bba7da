/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets into sandboxes; see dial.h. */
#include "edge/dial.h"

static struct str seq_key(const uint64_t *seq)
{
    return (struct str){(const char *)seq, sizeof *seq};
}

void dial_forget(struct dial *one)
{
    if (one->fn == NULL)
        return;
    one->fn = NULL;
    timer_stop(&one->deadline);
    map_remove(&one->dialer->by_seq, seq_key(&one->seq));
}

static void answer(struct dial *one, enum err_kind kind, int fd)
{
    dial_fn *fn = one->fn;

    dial_forget(one);
    fn(one->ctx, kind, fd);
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct dialer *d = ctx;
    auto_fd int passed = fd;
    const struct node_done *done = message;
    struct dial *one;

    if (type != NODE_DIALED)
        return;
    one = map_get(&d->by_seq, seq_key(&done->seq));
    if (one == NULL)
        return; /* the asker left */
    if (done->kind != ERR_NONE)
        answer(one, (enum err_kind)done->kind, -1);
    else if (passed < 0)
        answer(one, ERR_SYSTEM, -1);
    else
        answer(one, ERR_NONE, take_fd(&passed));
}

static void ask(struct dialer *d, const struct dial *one)
{
    struct node_dial m = {.seq = one->seq, .id = str_of(one->to.id), .port = one->to.port};

    ignore(link_send(&d->link, NODE_DIAL, &m)); /* down: on_up asks; else the deadline ends it */
}

static void on_up(void *ctx)
{
    struct dialer *d = ctx;
    size_t cursor = 0;
    struct dial *one;

    while ((one = map_next(&d->by_seq, &cursor)) != NULL)
        ask(d, one);
}

void dialer_start(struct dialer *d, struct loop *l, const char *path)
{
    struct link_spec spec = {path, &node_protocol, on_message, on_up, d};

    *d = (struct dialer){.loop = l};
    link_start(&d->link, l, &spec);
}

void dialer_stop(struct dialer *d)
{
    link_stop(&d->link);
    map_done(&d->by_seq);
}

static void on_deadline(void *ctx)
{
    answer(ctx, ERR_TIMEOUT, -1);
}

void dial_start(struct dialer *d, struct dial *one, const struct dial_to *to, dial_fn *fn,
                void *ctx)
{
    bool is_full = d->by_seq.count >= DIAL_WAITERS_MAX;

    one->dialer = d;
    one->fn = fn;
    one->ctx = ctx;
    one->to = *to;
    one->seq = ++d->next_seq;
    map_put(&d->by_seq, seq_key(&one->seq), one);
    timer_start(d->loop, &one->deadline, is_full ? 0 : DIAL_WAIT_MS, on_deadline, one);
    if (!is_full)
        ask(d, one);
}

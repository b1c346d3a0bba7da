/* SPDX-License-Identifier: Apache-2.0 */
/* The answer of /execute. Owned by context.c until it is finished. */
#include "interpreter/execution.h"

#include "interpreter/driver.h"
#include "interpreter/lines.h"
#include "io/stream.h"

enum { PENDING_MAX = DRIVER_LINE_MAX + (1 << 20) };

static void end(struct execution *e)
{
    timer_stop(&e->keepalive);
    buf_done(&e->pending);
    arena_done(&e->mem);
    free(e);
}

/* The connection takes few bytes more than it can send, whatever the length of a line. */
static void pump(struct execution *e)
{
    while (e->x != NULL && !e->is_blocked && e->pending.len > 0) {
        struct str part = str_upto(buf_str(&e->pending), STREAM_HIGH);

        e->is_blocked = !exchange_write(e->x, part);
        buf_consume(&e->pending, part.len);
    }
}

static void finish_when_sent(struct execution *e)
{
    if (!e->is_finished || (e->x != NULL && e->pending.len > 0))
        return;
    if (e->x != NULL)
        exchange_end(e->x);
    end(e);
}

static void on_drain(void *ctx, struct exchange *x)
{
    struct execution *e = ctx;

    ignore(x == NULL); /* it is e->x */
    e->is_blocked = false;
    pump(e);
    if (e->is_finished)
        finish_when_sent(e);
    else if (e->pending.len == 0)
        e->events->on_drain(e->ctx, e);
}

static void on_gone(void *ctx, struct exchange *x)
{
    struct execution *e = ctx;

    ignore(x == NULL); /* it is e->x */
    e->x = NULL;
    timer_stop(&e->keepalive);
    buf_done(&e->pending);
    if (e->is_finished)
        end(e);
    else
        e->events->on_gone(e->ctx, e);
}

/* Also how a client that vanished without a word is noticed. */
static void keep_alive(void *ctx)
{
    struct execution *e = ctx;

    timer_start(e->loop, &e->keepalive, KEEPALIVE_MS, keep_alive, e);
    if (e->pending.len == 0 && !e->is_blocked) {
        line_keepalive(&e->pending);
        pump(e);
    }
}

struct execution *execution_new(struct exchange *x, struct loop *l, const struct arena *mem,
                                const struct execution_events *events, void *ctx)
{
    static const struct http_field type = {STR("Content-Type"), STR("application/json")};
    const struct reply reply = {
        .status = 200, .fields = &type, .field_count = 1, .length = REPLY_CHUNKED};
    struct execution *e = mem_zero(sizeof(*e));

    *e = (struct execution){.x = x, .loop = l, .mem = *mem, .events = events, .ctx = ctx};
    buf_init(&e->pending, PENDING_MAX);
    exchange_on_gone(x, on_gone, e);
    exchange_start(x, &reply);
    exchange_on_drain(x, on_drain, e);
    timer_start(l, &e->keepalive, KEEPALIVE_MS, keep_alive, e);
    return e;
}

bool execution_write(struct execution *e, struct str lines)
{
    if (e->x == NULL)
        return true;
    buf_add_str(&e->pending, lines);
    if (!buf_ok(&e->pending)) {
        buf_done(&e->pending); /* cannot be: the kernel waits while there is one message in it */
        line_error(&e->pending, STR("OutputTooLarge"), STR("output was dropped"), STR(""));
    }
    timer_start(e->loop, &e->keepalive, KEEPALIVE_MS, keep_alive, e);
    pump(e);
    return e->pending.len == 0 && !e->is_blocked;
}

void execution_fail(struct execution *e, const char *name, const char *why)
{
    if (e->x == NULL)
        return;
    line_error(&e->pending, str_of(name), str_of(why), STR(""));
    pump(e);
}

void execution_finish(struct execution *e)
{
    if (e->x != NULL)
        line_end(&e->pending);
    timer_stop(&e->keepalive);
    e->is_finished = true;
    pump(e);
    finish_when_sent(e);
}

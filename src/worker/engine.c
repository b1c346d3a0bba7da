/* SPDX-License-Identifier: Apache-2.0 */
/* See engine.h: the connection to the engine, its life and its calls. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "worker/engine_internal.h"

enum {
    AWAY_MS = 60 * 1000, /* the engine is expected back at any moment, until then */
    LEAVE_MS = 3000,
};

static void connect_now(void *ctx);

static void no_result(void *ctx, struct str result, const struct engine_error *error)
{
    ignore(ctx == NULL || result.len == 0 || error == NULL); /* cancelled */
}

void engine_call_cancel(struct engine_call *c)
{
    if (c == NULL)
        return;
    timer_stop(&c->timer);
    map_remove(&c->engine->calls, str_of(c->id));
    free(c);
}

void engine_call_end(struct engine_call *c, struct str result, const struct engine_error *error)
{
    engine_result_fn *fn = c->fn;
    void *ctx = c->ctx;

    engine_call_cancel(c);
    fn(ctx, result, error);
}

static void on_call_timer(void *ctx)
{
    struct engine_call *c = ctx;
    struct engine_error error = {str_of(c->failure), STR("the engine did not answer"), {0}};

    engine_call_end(c, (struct str){0}, &error);
}

/* From the loop, and not from where the connection is being taken apart. */
static void fail_calls(struct engine *e)
{
    struct engine_call *c;
    size_t cursor = 0;

    while ((c = map_next(&e->calls, &cursor)) != NULL) {
        c->failure = "disconnected";
        timer_start(e->loop, &c->timer, 0, on_call_timer, c);
    }
}

static uint64_t with_jitter(uint64_t ms)
{
    uint16_t random;

    id_random(&random, sizeof(random));
    return ms * 7 / 10 + ms * 6 / 10 * random / UINT16_MAX;
}

static void finish_leaving(struct engine *e)
{
    loop_fn *left = e->left;
    void *ctx = e->left_ctx;

    e->left = NULL;
    if (left != NULL)
        left(ctx);
}

static void lose(struct engine *e, const struct err *err)
{
    bool was_open = e->socket != NULL && e->lost_ms == 0;
    uint64_t now = loop_now_ms(e->loop), max;

    timer_stop(&e->ping);
    timer_stop(&e->shake);
    websocket_free(e->socket);
    e->socket = NULL;
    if (was_open) {
        e->lost_ms = now;
        e->delay_ms = ENGINE_RETRY_MIN_MS;
        fail_calls(e);
        e->events->on_round_end(e->ctx, e->round);
    }
    if (e->is_leaving || e->is_over) {
        finish_leaving(e);
        return;
    }
    max = now - e->lost_ms < AWAY_MS ? ENGINE_RETRY_MAX_MS : ENGINE_RETRY_LATER_MS;
    if (e->delay_ms > max)
        e->delay_ms = max;
    if (was_open || e->delay_ms == ENGINE_RETRY_MIN_MS)
        log_warn("engine.lost", "error=\"%s\"",
                 err == NULL ? "it closed the connection" : err->text);
    timer_start(e->loop, &e->retry, with_jitter(e->delay_ms), connect_now, e);
    e->delay_ms *= 2;
}

static void on_ping(void *ctx)
{
    struct engine *e = ctx;
    struct err err = {0};

    if (loop_now_ms(e->loop) - e->heard_ms >= ENGINE_SILENT_MS) {
        err_set(&err, ERR_TIMEOUT, "nothing heard for %d s", ENGINE_SILENT_MS / 1000);
        lose(e, &err);
        return;
    }
    websocket_ping(e->socket);
    timer_start(e->loop, &e->ping, ENGINE_PING_MS, on_ping, e);
}

static void on_open(void *ctx)
{
    struct engine *e = ctx;

    timer_stop(&e->shake);
    e->round++;
    e->lost_ms = 0;
    e->heard_ms = loop_now_ms(e->loop);
    timer_start(e->loop, &e->ping, ENGINE_PING_MS, on_ping, e);
    engine_greet(e);
    log_info("engine.connected", "functions=%zu round=%llu", e->spec.function_count,
             (unsigned long long)e->round);
}

static void on_message(void *ctx, bool is_text, struct str data)
{
    if (is_text) /* binary frames are telemetry of others */
        engine_hear(ctx, data);
}

static void on_alive(void *ctx)
{
    struct engine *e = ctx;

    e->heard_ms = loop_now_ms(e->loop);
}

static void on_close(void *ctx, unsigned code, const struct err *err)
{
    struct err why = {0};

    if (err == NULL)
        err_set(&why, ERR_UNAVAILABLE, "it closed the connection with %u", code);
    lose(ctx, err == NULL ? &why : err);
}

static void on_late(void *ctx)
{
    struct engine *e = ctx;
    struct err err = {0};

    outdial_cancel(e->dial);
    e->dial = NULL;
    err_set(&err, ERR_TIMEOUT, "no connection in time");
    lose(e, &err);
}

static void on_dialed(void *ctx, struct http_conn *conn, const struct err *err)
{
    static const struct websocket_events events = {on_open, on_message, on_alive, NULL, on_close};
    struct engine *e = ctx;
    const struct address *to = &e->spec.to;
    struct websocket_spec spec = {
        .conn = conn,
        .host = str_of(to->authority),
        .target = to->path[0] == '\0' ? STR("/") : str_of(to->path),
    };

    e->dial = NULL;
    if (err != NULL) {
        lose(e, err);
        return;
    }
    e->socket = websocket_new(e->loop, &spec, &events, e);
}

static void connect_now(void *ctx)
{
    struct engine *e = ctx;

    timer_start(e->loop, &e->shake, WS_SHAKE_MS, on_late, e);
    e->dial = outdial_start(e->dialer, &e->spec.to, on_dialed, e);
}

struct engine *engine_new(struct loop *l, struct dialer *d, const struct engine_spec *spec,
                          const struct engine_events *events, void *ctx)
{
    struct engine *e = mem_zero(sizeof(*e));

    e->loop = l;
    e->dialer = d;
    e->spec = *spec;
    e->events = events;
    e->ctx = ctx;
    e->delay_ms = ENGINE_RETRY_MIN_MS;
    e->lost_ms = loop_now_ms(l);
    return e;
}

void engine_free(struct engine *e)
{
    struct engine_call *c;
    size_t cursor = 0;

    if (e == NULL)
        return;
    while ((c = map_next(&e->calls, &cursor)) != NULL) {
        c->fn = no_result;
        engine_call_cancel(c);
    }
    map_done(&e->calls);
    outdial_cancel(e->dial);
    websocket_free(e->socket);
    timer_stop(&e->retry);
    timer_stop(&e->ping);
    timer_stop(&e->shake);
    explicit_bzero(e->token, sizeof(e->token));
    free(e);
}

void engine_start(struct engine *e)
{
    connect_now(e);
}

void engine_refused(struct engine *e, const char *why)
{
    struct err err = {0};

    err_set(&err, ERR_DENIED, "%s", why);
    e->is_over = true;
    e->events->on_over(e->ctx, &err);
}

void engine_leave(struct engine *e, loop_fn *done, void *ctx)
{
    e->is_leaving = true;
    e->left = done;
    e->left_ctx = ctx;
    timer_stop(&e->retry);
    if (e->socket != NULL) {
        websocket_leave(e->socket, WS_NORMAL, WS_LEAVE_MS);
        return;
    }
    outdial_cancel(e->dial);
    e->dial = NULL;
    timer_stop(&e->shake);
    finish_leaving(e);
}

const struct address *engine_address(const struct engine *e)
{
    return &e->spec.to;
}

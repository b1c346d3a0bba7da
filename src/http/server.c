/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of the server: their life, their timers, their end. All that happens to one ends in
 * pump(), which runs the step of its state until there is nothing more to do. */
#include <errno.h>
#include <stdio.h>

#include "http/server_internal.h"
#include "io/socket.h"

enum {
    HEAD_MS = 10 * 1000,
    IDLE_MS = 640 * 1000,
    CONNECTIONS_MAX = 4096,
    DRAIN_MAX = 256 << 10,
};

static void on_timer(void *ctx);

static bool linger(struct session *s)
{
    stream_consume(&s->stream, s->stream.in.len);
    if (s->stream.eof && outbox_unsent(&s->out) == 0)
        session_close(s);
    return false;
}

static bool (*const steps[])(struct session *s) = {
    [SESSION_HEAD] = session_read_head,
    [SESSION_EXCHANGE] = session_run_exchange,
    [SESSION_SKIP] = session_skip_body,
    [SESSION_LINGER] = linger,
};

static enum session_wait wait_of(const struct session *s)
{
    switch ((enum session_state)s->state) {
    case SESSION_EXCHANGE: return WAIT_EXCHANGE;
    case SESSION_SKIP: return WAIT_SKIP;
    case SESSION_LINGER: return WAIT_LINGER;
    case SESSION_HEAD:
    case SESSION_CLOSED: break;
    }
    if (stream_unsent(&s->stream) > 0)
        return WAIT_FLUSH;
    return s->stream.in.len > 0 ? WAIT_HEAD : WAIT_REQUEST;
}

/* How long a peer may take none of what we send. */
static uint32_t flush_ms(const struct session *s)
{
    const struct http_limits *limits = &s->server->limits;

    return limits->stall_ms > 0 ? limits->stall_ms : limits->idle_ms;
}

static uint32_t tick_of(uint32_t limit_ms)
{
    return limit_ms > 0 && limit_ms / 2 < EXCHANGE_TICK_MS ? limit_ms / 2 + 1 : EXCHANGE_TICK_MS;
}

static uint32_t wait_ms(const struct session *s)
{
    const struct http_limits *limits = &s->server->limits;

    switch ((enum session_wait)s->wait) {
    case WAIT_REQUEST: return limits->idle_ms;
    case WAIT_HEAD:
    case WAIT_SKIP: return limits->head_ms;
    case WAIT_FLUSH: return tick_of(flush_ms(s));
    case WAIT_EXCHANGE: return tick_of(limits->stall_ms);
    case WAIT_NONE:
    case WAIT_LINGER: break;
    }
    return LINGER_MS;
}

static void arm_timer(struct session *s)
{
    enum session_wait wait = wait_of(s);

    if (wait == (enum session_wait)s->wait && timer_running(&s->timer))
        return;
    s->wait = (uint8_t)wait;
    s->progress_ms = loop_now_ms(s->loop);
    timer_start(s->loop, &s->timer, wait_ms(s), on_timer, s);
}

void session_enter(struct session *s)
{
    s->depth++;
}

/* An analyser does not see that a depth is never 0 after session_enter(), so that who entered has
 * its session until it leaves. The same is answered below, where it says so. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free"
void session_leave(struct session *s)
{
    if (--s->depth == 0 && s->state == SESSION_CLOSED)
        free(s);
}
#pragma GCC diagnostic pop

static void pump(struct session *s)
{
    session_enter(s);
    while (s->state != SESSION_CLOSED && steps[s->state](s)) {
    }
    if (s->state != SESSION_CLOSED) {
        outbox_flush(&s->out);
        arm_timer(s);
    }
    session_leave(s);
}

static void on_wake(void *ctx)
{
    pump(ctx);
}

void session_later(struct session *s)
{
    if (s->state != SESSION_CLOSED)
        task_defer(s->loop, &s->wake, on_wake, s);
}

void session_wake(struct session *s)
{
    if (s->depth == 0)
        session_later(s);
}

static void tell_drained(void *ctx)
{
    struct http_server *server = ctx;

    server->on_drained(server->drained_ctx);
}

static void check_drained(struct http_server *server)
{
    if (server->is_draining && server->count == 0 && server->on_drained != NULL)
        task_defer(server->loop, &server->drained, tell_drained, server);
}

void session_close(struct session *s)
{
    if (s->state == SESSION_CLOSED)
        return;
    session_enter(s);
    s->state = SESSION_CLOSED;
    timer_stop(&s->timer);
    task_cancel(&s->wake);
    stream_close(&s->stream);
    outbox_done(&s->out);
    exchange_free(s->x);
    s->x = NULL;
    list_remove(&s->node);
    s->server->count--;
    if (s->server->on_close != NULL && !s->is_detached)
        s->server->on_close(s->server->close_ctx, s->tag);
    check_drained(s->server);
    session_leave(s);
}

void session_fail(struct session *s)
{
    struct exchange *x = s->x;

    session_enter(s);
    if (x != NULL && !x->is_answered && !x->is_over) {
        x->is_over = true;
        if (x->on_gone != NULL)
            x->on_gone(x->gone_ctx, x);
    }
    session_close(s);
    session_leave(s); /* NOLINT(clang-analyzer-unix.Malloc): see there */
}

void session_shut(struct session *s)
{
    outbox_flush(&s->out);
    exchange_free(s->x);
    s->x = NULL;
    s->state = SESSION_LINGER;
    stream_end(&s->stream);
}

void session_refuse(struct session *s, unsigned status, const char *why)
{
    struct buf *out = &s->server->scratch;
    struct str parts[2];
    char body[160];
    int len = snprintf(body, sizeof(body), "{\"code\":%u,\"message\":\"%s\"}", status, why);

    buf_clear(out);
    http_put_status_line(out, status);
    http_put_field_text(out, "Content-Type", "application/json");
    http_put_field_u64(out, "Content-Length", (uint64_t)len);
    http_put_field_text(out, "Connection", "close");
    buf_add_str(out, STR("\r\n"));
    parts[0] = buf_str(out);
    parts[1] = (struct str){body, (size_t)len};
    if (buf_ok(out))
        ignore(outbox_send(&s->out, parts, 2)); /* nothing more follows */
    session_shut(s);
}

/* Did the peer take a byte since the last look, or give one (on_data)? */
static bool is_stalled(struct session *s, uint32_t limit_ms)
{
    uint64_t sent = s->out.total - outbox_unsent(&s->out);
    uint64_t now = loop_now_ms(s->loop);

    if (sent != s->sent_seen)
        s->progress_ms = now;
    s->sent_seen = sent;
    return now - s->progress_ms >= limit_ms;
}

static void check_exchange(struct session *s)
{
    uint32_t limit_ms = s->server->limits.stall_ms;

    if (!exchange_waits_for_peer(s->x))
        s->progress_ms = loop_now_ms(s->loop);
    if (limit_ms > 0 && is_stalled(s, limit_ms))
        session_fail(s);
}

static void check_linger(struct session *s)
{
    uint64_t before = s->sent_seen;

    if (outbox_unsent(&s->out) == 0 || is_stalled(s, flush_ms(s)))
        session_close(s);
    else if (s->sent_seen == before && s->stream.eof)
        session_close(s); /* gone, and not reading */
}

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-use-after-free" /* see session_leave() */
static void on_timer(void *ctx)
{
    struct session *s = ctx;

    session_enter(s);
    switch ((enum session_wait)s->wait) {
    case WAIT_NONE:
    case WAIT_REQUEST: session_close(s); break;
    case WAIT_HEAD: session_refuse(s, 408, "request head took too long"); break;
    case WAIT_SKIP: session_shut(s); break;
    case WAIT_FLUSH:
        if (is_stalled(s, flush_ms(s)))
            session_close(s);
        break;
    case WAIT_EXCHANGE: check_exchange(s); break;
    case WAIT_LINGER: check_linger(s); break;
    }
    if (s->state != SESSION_CLOSED) { /* NOLINT(clang-analyzer-unix.Malloc): see session_leave() */
        uint64_t progress_ms = s->progress_ms;
        enum session_wait wait = (enum session_wait)s->wait;

        arm_timer(s);
        if ((enum session_wait)s->wait == wait)
            s->progress_ms = progress_ms;
    }
    session_leave(s);
}
#pragma GCC diagnostic pop

static void on_data(void *ctx)
{
    struct session *s = ctx;

    s->progress_ms = loop_now_ms(s->loop);
    pump(s);
}

static void on_drain(void *ctx)
{
    struct session *s = ctx;
    struct exchange *x = s->x;

    session_enter(s);
    if (x != NULL && !x->is_answered && x->on_drain != NULL)
        x->on_drain(x->drain_ctx, x);
    if (s->state != SESSION_CLOSED)
        pump(s);
    session_leave(s); /* NOLINT(clang-analyzer-unix.Malloc): see there */
}

static void on_fail(void *ctx)
{
    session_fail(ctx);
}

static const struct stream_events events = {on_data, on_drain, on_fail, HTTP_IN_MAX, HTTP_OUT_MAX};

int http_server_new(struct loop *l, const struct http_limits *limits, request_fn *on_request,
                    void *ctx, struct http_server **out, struct err *err)
{
    struct http_server *s = calloc(1, sizeof(*s));
    struct http_limits *own;

    if (s == NULL)
        return err_sys(err, ENOMEM, "create HTTP server");
    s->loop = l;
    s->on_request = on_request;
    s->ctx = ctx;
    buf_init(&s->scratch, 2 * HTTP_HEAD_MAX);
    own = &s->limits;
    if (limits != NULL)
        *own = *limits;
    own->head_ms = own->head_ms == 0 ? HEAD_MS : own->head_ms;
    own->idle_ms = own->idle_ms == 0 ? IDLE_MS : own->idle_ms;
    own->connections_max = own->connections_max == 0 ? CONNECTIONS_MAX : own->connections_max;
    own->head_max =
        own->head_max == 0 || own->head_max > HTTP_HEAD_MAX ? HTTP_HEAD_MAX : own->head_max;
    own->drain_max = own->drain_max == 0 ? DRAIN_MAX : own->drain_max;
    *out = s;
    return 0;
}

void http_server_on_close(struct http_server *server, close_fn *fn, void *ctx)
{
    server->on_close = fn;
    server->close_ctx = ctx;
}

void http_server_on_preface(struct http_server *server, preface_fn *fn, void *ctx)
{
    server->on_preface = fn;
    server->preface_ctx = ctx;
}

static void tell_closed(struct http_server *server, unsigned tag)
{
    if (server->on_close != NULL)
        server->on_close(server->close_ctx, tag);
}

/* NULL: one too many. */
static struct session *session_new(struct http_server *server, unsigned tag)
{
    struct session *s = NULL;

    if (!server->is_draining && server->count < server->limits.connections_max)
        s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    s->server = server;
    s->loop = server->loop;
    s->tag = tag;
    outbox_init(&s->out, &s->stream);
    return s;
}

static void session_begin(struct session *s)
{
    list_push(&s->server->sessions, &s->node);
    s->server->count++;
    arm_timer(s);
}

void http_server_adopt(struct http_server *server, int fd, unsigned tag)
{
    struct session *s = session_new(server, tag);
    struct err err;

    if (s == NULL) {
        own_close_fd(&fd);
        tell_closed(server, tag);
        return;
    }
    socket_no_delay(fd);
    if (stream_open(&s->stream, server->loop, fd, false, &events, s, &err) == 0) {
        session_begin(s);
        return;
    }
    free(s);
    tell_closed(server, tag);
}

void http_server_adopt_over(struct http_server *server, struct transport *t, unsigned tag)
{
    struct session *s = session_new(server, tag);

    if (s == NULL) {
        t->ops->close(t);
        tell_closed(server, tag);
        return;
    }
    stream_open_over(&s->stream, t, &events, s);
    session_begin(s);
}

void http_server_drain(struct http_server *server, loop_fn *on_done, void *ctx)
{
    struct list_node *node = list_first(&server->sessions);

    server->is_draining = true;
    server->on_drained = on_done;
    server->drained_ctx = ctx;
    while (node != NULL) {
        struct session *s = container_of(node, struct session, node);

        node = list_next(&server->sessions, node);
        if (s->depth > 0 || s->state != SESSION_HEAD)
            continue; /* ends by itself: end of exchange looks at is_draining */
        if (wait_of(s) == WAIT_REQUEST) {
            session_close(s);
        } else if (s->stream.in.len == 0) {
            session_shut(s);
            session_wake(s);
        }
    }
    check_drained(server);
}

void http_server_retire(struct http_server *server)
{
    server->is_retiring = true;
}

void http_server_free(struct http_server *server)
{
    struct list_node *node;

    if (server == NULL)
        return;
    while ((node = list_first(&server->sessions)) != NULL)
        session_fail(container_of(node, struct session, node));
    task_cancel(&server->drained);
    buf_done(&server->scratch);
    free(server);
}

size_t http_server_connections(const struct http_server *server)
{
    return server->count;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection and the answers on it. All that happens to one ends in pump(), which runs
 * the step of its state until there is nothing more to do. Used by the edge, by fetch.c, by tests.
 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "http/client_internal.h"
#include "io/socket.h"

void conn_enter(struct http_conn *c)
{
    c->depth++;
}

void conn_leave(struct http_conn *c)
{
    if (--c->depth > 0 || c->state != CONN_FREED)
        return;
    body_done(&c->body);
    free(c);
}

static void close_now(struct http_conn *c, enum conn_state state)
{
    task_cancel(&c->wake);
    bypass_end(&c->bypass, &c->stream);
    stream_close(&c->stream);
    outbox_done(&c->out);
    c->state = (uint8_t)state;
}

void conn_fail(struct http_conn *c, const struct err *err)
{
    if (c->state == CONN_SPENT || c->state == CONN_FREED)
        return;
    conn_enter(c);
    close_now(c, CONN_SPENT);
    if (c->events.on_fail != NULL)
        c->events.on_fail(c->ctx, err, c->is_fresh);
    conn_leave(c);
}

static bool fail_with(struct http_conn *c, enum err_kind kind, const char *why)
{
    struct err err = {0};

    ignore(err_set(&err, kind, "%s", why)); /* always -1 */
    conn_fail(c, &err);
    return false;
}

/* Nothing is expected from an idle peer: whatever it does ends the connection. */
static bool step_idle(struct http_conn *c)
{
    if (!c->stream.eof && c->stream.in.len == 0)
        return false;
    close_now(c, CONN_SPENT);
    if (c->on_idle_close != NULL)
        c->on_idle_close(c->idle_ctx);
    return false;
}

void conn_settle(struct http_conn *c)
{
    if (!c->is_request_ended)
        c->state = CONN_TAIL;
    else if (!c->keep_alive || c->is_short || c->stream.eof || c->stream.in.len > 0)
        close_now(c, CONN_SPENT);
    else
        c->state = CONN_IDLE;
    if (c->state == CONN_IDLE)
        stream_rest(&c->stream);
}

static bool end_answer(struct http_conn *c)
{
    size_t (*on_body)(void *ctx, struct str data, bool is_last) = c->events.on_body;

    conn_settle(c); /* first: the callback may make the next call */
    if (on_body != NULL)
        ignore((long)on_body(c->ctx, (struct str){NULL, 0}, true)); /* nothing to take */
    return true;
}

static bool take_interim(struct http_conn *c, size_t used)
{
    stream_consume(&c->stream, used);
    c->seen = 0;
    if (++c->interims > INTERIM_MAX)
        return fail_with(c, ERR_INVALID, "too many interim answers");
    return true;
}

static bool take_head(struct http_conn *c, const struct http_head *h, size_t used)
{
    bool is_upgrade = h->status == 101;

    if (is_upgrade && !c->is_upgrade_call)
        return fail_with(c, ERR_INVALID, "the answer switches protocols unasked");
    body_init(&c->body, h);
    c->keep_alive = h->keep_alive;
    c->head_len = used;
    c->state = is_upgrade ? CONN_UPGRADED : CONN_BODY;
    if (c->events.on_head != NULL)
        c->events.on_head(c->ctx, h);
    if (c->state != CONN_BODY && c->state != CONN_UPGRADED)
        return false;
    c->head_len = 0;
    c->seen = 0;
    stream_consume(&c->stream, used);
    return true;
}

static bool step_head(struct http_conn *c)
{
    struct str in = buf_str(&c->stream.in);
    struct str method = c->is_head_call ? STR("HEAD") : STR("GET");
    struct http_head head;
    const char *why = NULL;
    int used = 0;

    if (c->is_broken_call && c->stream.events != NULL)
        return fail_with(c, ERR_INVALID, "the request cannot be written as HTTP");
    if (c->is_broken_call)
        return fail_with(c, ERR_UNAVAILABLE, "the connection is closed");
    if (in.len > 0)
        c->is_fresh = false;
    if (http_is_head_likely(in, c->seen))
        used = http_parse_response(in, method, &head, &why);
    if (used < 0)
        return fail_with(c, ERR_INVALID, why);
    if (used > 0)
        return head.status < 200 && head.status != 101 ? take_interim(c, (size_t)used)
                                                       : take_head(c, &head, (size_t)used);
    c->seen = in.len;
    if (c->stream.eof)
        fail_with(c, ERR_UNAVAILABLE, "connection closed before the answer");
    return false;
}

/* False: the bytes go past us, now or when a side moves; or the call has failed. */
static bool may_copy(struct http_conn *c)
{
    enum bypass_state state = bypass_run(&c->bypass, &c->stream, &c->body);

    if (state == BYPASS_OFF)
        return true;
    c->is_paused = state == BYPASS_BLOCKED;
    if (!c->is_paused && c->stream.eof)
        return fail_with(c, ERR_UNAVAILABLE, "connection closed within the answer");
    return false;
}

static bool step_body(struct http_conn *c)
{
    struct str data;
    ssize_t used;
    size_t taken;

    if (c->is_paused)
        return false;
    if (c->bypass.to != NULL && !may_copy(c))
        return false;
    if (c->body.is_done)
        return end_answer(c);
    used = body_next(&c->body, buf_str(&c->stream.in), &data);
    if (used < 0)
        return fail_with(c, ERR_INVALID, "malformed chunked body");
    if (data.len > 0) {
        c->is_resumed = false;
        taken = c->events.on_body == NULL ? data.len : c->events.on_body(c->ctx, data, false);
        if (c->state != CONN_BODY)
            return false;
        assert(taken <= data.len);
        body_give_back(&c->body, data.len - taken);
        stream_consume(&c->stream, (size_t)used - (data.len - taken));
        if (taken == data.len)
            return true;
        c->is_paused = !c->is_resumed;
        if (c->is_resumed)
            conn_wake(c);
        return false;
    }
    stream_consume(&c->stream, (size_t)used);
    if (used > 0)
        return true;
    if (c->stream.eof && c->body.framing == HTTP_UNTIL_CLOSE) {
        c->body.is_done = true;
        return true;
    }
    if (c->stream.eof)
        fail_with(c, ERR_UNAVAILABLE, "connection closed within the answer");
    return false;
}

/* The request may go on; the connection will not be used again if the peer talks or leaves. */
static bool step_tail(struct http_conn *c)
{
    if (c->stream.in.len > 0 || c->stream.eof)
        c->keep_alive = false;
    stream_consume(&c->stream, c->stream.in.len);
    return false;
}

static bool step_none(struct http_conn *c)
{
    ignore(c->state);
    return false;
}

static bool (*const steps[])(struct http_conn *c) = {
    [CONN_IDLE] = step_idle, [CONN_HEAD] = step_head,     [CONN_BODY] = step_body,
    [CONN_TAIL] = step_tail, [CONN_UPGRADED] = step_none, [CONN_SPENT] = step_none,
    [CONN_FREED] = step_none};

static void pump(void *ctx)
{
    struct http_conn *c = ctx;

    conn_enter(c);
    while (steps[c->state](c)) {
    }
    if (c->state < CONN_SPENT)
        outbox_flush(&c->out);
    conn_leave(c);
}

void conn_wake(struct http_conn *c)
{
    if (c->state < CONN_SPENT)
        task_defer(c->loop, &c->wake, pump, c);
}

static void on_drain(void *ctx)
{
    struct http_conn *c = ctx;

    conn_enter(c);
    if (!c->is_request_ended && c->events.on_drain != NULL)
        c->events.on_drain(c->ctx);
    conn_leave(c);
}

/* What the peer sent before it broke is in the in-box and was shown to pump() already. */
static void on_fail(void *ctx)
{
    struct http_conn *c = ctx;
    struct err err = {0};

    if (c->state == CONN_IDLE) {
        conn_enter(c);
        close_now(c, CONN_SPENT);
        if (c->on_idle_close != NULL)
            c->on_idle_close(c->idle_ctx);
        conn_leave(c);
        return;
    }
    if (c->state == CONN_TAIL) {
        close_now(c, CONN_SPENT);
        return;
    }
    ignore(err_sys(&err, c->stream.sys, "talk to the server")); /* always -1 */
    conn_fail(c, &err);
}

static const struct stream_events events = {pump, on_drain, on_fail, HTTP_IN_MAX, HTTP_OUT_MAX};

static struct http_conn *conn_new(struct loop *l)
{
    struct http_conn *c = calloc(1, sizeof(*c));

    if (c == NULL)
        return NULL;
    c->loop = l;
    c->keep_alive = true;
    outbox_init(&c->out, &c->stream);
    return c;
}

int http_conn_new(struct loop *l, int fd, bool is_connecting, struct http_conn **out,
                  struct err *err)
{
    struct http_conn *c = conn_new(l);

    if (c == NULL) {
        own_close_fd(&fd);
        return err_sys(err, ENOMEM, "create HTTP connection");
    }
    socket_no_delay(fd);
    if (stream_open(&c->stream, l, fd, is_connecting, &events, c, err) != 0) {
        free(c);
        return -1;
    }
    *out = c;
    return 0;
}

int http_conn_new_over(struct transport *t, struct http_conn **out, struct err *err)
{
    struct http_conn *c = conn_new(t->loop);

    if (c == NULL) {
        t->ops->close(t);
        return err_sys(err, ENOMEM, "create HTTP connection");
    }
    stream_open_over(&c->stream, t, &events, c);
    *out = c;
    return 0;
}

bool http_conn_has_transport(const struct http_conn *c)
{
    return stream_over(&c->stream) != NULL;
}

void http_conn_free(struct http_conn *c)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (c == NULL || c->state == CONN_FREED)
        return;
    conn_enter(c);
    /* a unix socket does not know the option, but tells a close from a half-close by itself */
    if (c->state == CONN_HEAD || c->state == CONN_BODY)
        ignore(setsockopt(c->stream.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
    close_now(c, CONN_FREED);
    conn_leave(c);
}

void http_conn_resume(struct http_conn *c)
{
    c->is_paused = false;
    c->is_resumed = true;
    conn_wake(c);
}

struct str http_conn_trailers(const struct http_conn *c)
{
    return buf_ok(&c->body.trailers) ? buf_str(&c->body.trailers) : (struct str){NULL, 0};
}

bool http_conn_is_idle(const struct http_conn *c)
{
    return c->state == CONN_IDLE && !c->stream.eof && c->stream.sys == 0;
}

bool http_conn_is_usable(const struct http_conn *c)
{
    char byte;

    if (!http_conn_is_idle(c) || stream_over(&c->stream) != NULL)
        return http_conn_is_idle(c); /* what is in a socket below says nothing */
    return recv(c->stream.fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

void http_conn_on_idle_close(struct http_conn *c, void (*fn)(void *ctx), void *ctx)
{
    c->on_idle_close = fn;
    c->idle_ctx = ctx;
}

/* False: it has failed. */
static bool detach(struct http_conn *c, struct buf *out_rest)
{
    assert(c->state == CONN_UPGRADED || c->state == CONN_SPENT);
    if (c->state != CONN_UPGRADED || stream_unsent(&c->stream) > 0 || c->stream.sys != 0)
        return false;
    buf_consume(&c->stream.in, c->head_len);
    *out_rest = c->stream.in;
    buf_init(&c->stream.in, HTTP_IN_MAX);
    return true;
}

int http_conn_detach(struct http_conn *c, struct buf *out_rest)
{
    int fd = detach(c, out_rest) ? stream_detach(&c->stream) : -1;

    http_conn_free(c);
    return fd;
}

struct transport *http_conn_detach_over(struct http_conn *c, struct buf *out_rest)
{
    struct transport *t = NULL;

    if (stream_over(&c->stream) != NULL && detach(c, out_rest))
        t = stream_detach_over(&c->stream);
    http_conn_free(c);
    return t;
}

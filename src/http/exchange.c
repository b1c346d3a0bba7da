/* SPDX-License-Identifier: Apache-2.0 */
/* The request side of an exchange: its head, its body, its end. The steps are called by pump() of
 * server.c, the rest by handlers. */
#include <assert.h>
#include <sys/socket.h>

#include "http/server_internal.h"

/* The slices of `parsed` point into the in-box, which moves: copy the bytes, then re-base. */
static struct str rebased(struct str s, const char *from, const char *to)
{
    return s.at == NULL ? s : (struct str){to + (s.at - from), s.len};
}

static void copy_head(struct exchange *x, const struct http_head *parsed, struct str bytes)
{
    struct http_head *h = &x->head;
    const char *from = bytes.at, *to = x->bytes;

    memcpy(x->bytes, bytes.at, bytes.len);
    memcpy(h, parsed, offsetof(struct http_head, fields));
    h->method = rebased(h->method, from, to);
    h->host = rebased(h->host, from, to);
    /* "/" of an absolute form without a path is a literal */
    if (h->target.at >= from && h->target.at < from + bytes.len) {
        h->target = rebased(h->target, from, to);
        h->path = rebased(h->path, from, to);
        h->query = rebased(h->query, from, to);
    }
    for (size_t i = 0; i < h->field_count; i++) {
        h->fields[i].name = rebased(parsed->fields[i].name, from, to);
        h->fields[i].value = rebased(parsed->fields[i].value, from, to);
    }
}

static struct exchange *exchange_new(struct session *s, const struct http_head *h, struct str bytes)
{
    struct exchange *x = malloc(sizeof(*x) + bytes.len);

    if (x == NULL)
        return NULL;
    memset(x, 0, offsetof(struct exchange, head));
    x->session = s;
    arena_init(&x->arena, EXCHANGE_ARENA_MAX);
    copy_head(x, h, bytes);
    body_init(&x->body, &x->head);
    x->must_close = !h->keep_alive || s->server->is_draining;
    return x;
}

void exchange_free(struct exchange *x)
{
    if (x == NULL)
        return;
    bypass_end(&x->bypass, &x->session->stream);
    body_done(&x->body);
    arena_done(&x->arena);
    buf_done(&x->collect.body);
    free(x);
}

/* The peer ended, or all was said: no further request on this connection. */
static bool leave(struct session *s)
{
    if (outbox_unsent(&s->out) == 0 && s->stream.in.len == 0) {
        session_close(s);
        return false;
    }
    session_shut(s);
    return true;
}

#ifdef IO_WITHOUT_TRANSPORT
static bool give_away(struct session *s, struct str in)
{
    ignore(s->tag);
    ignore((long)in.len);
    return false;
}
#else
/* True: the connection is another's, as it begins with the preface of HTTP/2. */
static bool give_away(struct session *s, struct str in)
{
    struct http_server *server = s->server;
    struct buf first;
    int fd;

    if (server->on_preface == NULL || stream_over(&s->stream) != NULL || s->out.total > 0 ||
        !str_has_prefix(in, "PRI * HTTP/2.0\r\n"))
        return false;
    first = s->stream.in;
    buf_init(&s->stream.in, HTTP_IN_MAX);
    fd = stream_detach(&s->stream);
    s->is_detached = true;
    session_close(s);
    server->on_preface(server->preface_ctx, fd, buf_str(&first), s->tag);
    buf_done(&first);
    return true;
}
#endif

bool session_read_head(struct session *s)
{
    struct http_server *server = s->server;
    struct str in = buf_str(&s->stream.in);
    const char *why = NULL;
    int used = 0;

    if (stream_unsent(&s->stream) > STREAM_HIGH)
        return false; /* on_drain goes on: answers are not piled up for a peer that only asks */
    if (http_is_head_likely(in, s->seen))
        used = http_parse_request(in, &server->head, &why);
    if (used >= 0 && (used > 0 ? (size_t)used : in.len) > server->limits.head_max) {
        used = -431;
        why = "request head is too large";
    }
    if (used < 0) {
        if (give_away(s, in))
            return false;
        session_refuse(s, (unsigned)-used, why);
        return true;
    }
    if (used == 0) {
        s->seen = in.len;
        if (!s->stream.eof)
            return false;
        stream_consume(&s->stream, in.len); /* half a head that stays half */
        return leave(s);
    }
    s->x = exchange_new(s, &server->head, str_upto(in, (size_t)used));
    if (s->x == NULL) {
        session_refuse(s, 503, "out of memory");
        return true;
    }
    s->seen = 0;
    s->skipped = 0;
    s->state = SESSION_EXCHANGE;
    stream_consume(&s->stream, (size_t)used);
    server->on_request(server->ctx, s->x);
    return true;
}

/* The answer is complete and the request is used up. */
static bool end_exchange(struct session *s)
{
    bool must_close = s->x->must_close || s->server->is_draining;

    exchange_free(s->x);
    s->x = NULL;
    s->state = SESSION_HEAD;
    s->wait = WAIT_NONE; /* idle time starts now */
    stream_rest(&s->stream);
    if (!must_close)
        return true;
    outbox_flush(&s->out);
    return leave(s);
}

/* The answer is complete, the request may not be. */
static bool settle(struct session *s)
{
    struct exchange *x = s->x;
    uint64_t drain_max = s->server->limits.drain_max;

    bypass_end(&x->bypass, &s->stream);
    if (x->body.is_done)
        return end_exchange(s);
    if ((x->head.expects_continue && !x->is_continued) ||
        (x->body.framing == HTTP_LENGTH && x->body.left > drain_max))
        session_shut(s);
    else
        s->state = SESSION_SKIP;
    return true;
}

bool session_skip_body(struct session *s)
{
    ssize_t dropped = body_skip(&s->x->body, &s->stream);

    s->skipped += dropped > 0 ? (uint64_t)dropped : 0;
    if (dropped >= 0 && s->x->body.is_done)
        return end_exchange(s);
    if (dropped < 0 || s->stream.eof || s->skipped > s->server->limits.drain_max) {
        session_shut(s);
        return true;
    }
    return false;
}

/* A body whose framing is broken: the request is void. */
static bool refuse_body(struct session *s)
{
    struct exchange *x = s->x;

    if (x->is_started) {
        session_fail(s);
        return false;
    }
    x->is_over = true;
    if (x->on_gone != NULL)
        x->on_gone(x->gone_ctx, x);
    if (s->state != SESSION_CLOSED)
        session_refuse(s, 400, "malformed chunked body");
    return true;
}

/* False: the bytes go past us, now or when a side moves. */
static bool may_copy(struct exchange *x)
{
    enum bypass_state state = bypass_run(&x->bypass, &x->session->stream, &x->body);

    if (state == BYPASS_BLOCKED)
        x->is_paused = true;
    return state == BYPASS_OFF;
}

/* One run of body bytes to its consumer. True: there may be more to do. */
static bool deliver(struct session *s)
{
    struct exchange *x = s->x;
    struct str data;
    ssize_t used;
    size_t taken;

    if (bypass_is_wanted(&x->bypass) && !may_copy(x))
        return false;
    if (x->body.is_done) {
        x->is_body_told = true;
        ignore((long)x->on_body(x->body_ctx, x, (struct str){NULL, 0}, true)); /* nothing to take */
        return true;
    }
    used = body_next(&x->body, buf_str(&s->stream.in), &data);
    if (used < 0)
        return refuse_body(s);
    if (data.len == 0) {
        stream_consume(&s->stream, (size_t)used);
        return used > 0;
    }
    x->is_resumed = false;
    taken = x->on_body(x->body_ctx, x, data, false);
    if (s->state == SESSION_CLOSED)
        return false;
    assert(taken <= data.len);
    body_give_back(&x->body, data.len - taken);
    stream_consume(&s->stream, (size_t)used - (data.len - taken));
    x->is_paused = taken < data.len && !x->is_resumed;
    if (taken < data.len && x->is_resumed)
        session_later(s); /* not at once: a consumer may resume without taking anything */
    return taken == data.len;
}

static bool may_deliver(const struct exchange *x)
{
    return x->on_body != NULL && !x->is_paused && !x->is_body_told;
}

/* See http_server_adopt(). Called when all that came of the body was delivered, as far as somebody
 * wants it. */
static bool has_left(const struct session *s)
{
    const struct exchange *x = s->x;

    return s->stream.hung || (s->stream.eof && may_deliver(x) && !x->body.is_done);
}

bool session_run_exchange(struct session *s)
{
    struct exchange *x = s->x;

    if (x->is_answered)
        return settle(s);
    if (x->collect.is_too_large) {
        x->collect.is_too_large = false;
        x->on_body = NULL;
        if (x->collect.too_large != NULL)
            x->collect.too_large(x->collect.ctx, x);
        else
            exchange_reply(x, 413, "application/json",
                           STR("{\"code\":413,\"message\":\"request body is too large\"}"));
        return true;
    }
    if (may_deliver(x) && deliver(s))
        return true;
    if (s->state != SESSION_EXCHANGE)
        return s->state != SESSION_CLOSED;
    if (x->is_answered)
        return true;
    if (has_left(s))
        session_fail(s);
    return false;
}

bool exchange_waits_for_peer(const struct exchange *x)
{
    return outbox_unsent(&x->session->out) > 0 || (may_deliver(x) && !x->body.is_done);
}

const struct http_head *exchange_head(const struct exchange *x)
{
    return &x->head;
}

struct arena *exchange_arena(struct exchange *x)
{
    return &x->arena;
}

unsigned exchange_tag(const struct exchange *x)
{
    return x->session->tag;
}

struct str exchange_peer(const struct exchange *x)
{
    struct session *s = x->session;

    if (!s->has_peer)
        socket_peer_address(s->stream.fd, s->peer);
    s->has_peer = true;
    return str_of(s->peer);
}

int exchange_cpu(const struct exchange *x)
{
    int cpu;
    socklen_t size = sizeof(cpu);

    if (getsockopt(x->session->stream.fd, SOL_SOCKET, SO_INCOMING_CPU, &cpu, &size) != 0)
        return -1;
    return cpu;
}

/* The peer waits for permission, unless it has begun already. */
static void want_body(struct exchange *x)
{
    struct session *s = x->session;
    struct str go_on = STR("HTTP/1.1 100 Continue\r\n\r\n");

    if (x->head.expects_continue && !x->is_continued && !x->is_started && !x->is_over) {
        x->is_continued = true;
        if (s->stream.in.len == 0)
            ignore(outbox_send(&s->out, &go_on, 1)); /* a dead peer is told by on_gone */
    }
    session_wake(s);
}

void exchange_on_body(struct exchange *x, body_fn *fn, void *ctx)
{
    x->on_body = fn;
    x->body_ctx = ctx;
    if (fn != NULL)
        want_body(x);
}

void exchange_resume(struct exchange *x)
{
    x->is_paused = false;
    x->is_resumed = true;
    session_wake(x->session);
}

static size_t collect(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct collect *c = ctx;

    if (is_last) {
        c->fn(c->ctx, x);
        return 0;
    }
    if (data.len > c->max - c->body.len) {
        c->is_too_large = true;
        return data.len;
    }
    buf_add_str(&c->body, data);
    if (!buf_ok(&c->body)) {
        x->on_body = NULL;
        exchange_reply(x, 503, "application/json",
                       STR("{\"code\":503,\"message\":\"out of memory\"}"));
    }
    return data.len;
}

void exchange_collect(struct exchange *x, size_t max, exchange_fn *fn, exchange_fn *too_large,
                      void *ctx)
{
    struct collect *c = &x->collect;

    *c = (struct collect){.max = max, .fn = fn, .too_large = too_large, .ctx = ctx};
    buf_init(&c->body, max);
    if (x->body.framing == HTTP_LENGTH && x->body.left > max) {
        c->is_too_large = true;
        session_wake(x->session);
        return;
    }
    exchange_on_body(x, collect, c);
}

struct str exchange_body(const struct exchange *x)
{
    return buf_str(&x->collect.body);
}

struct str exchange_trailers(const struct exchange *x)
{
    return buf_ok(&x->body.trailers) ? buf_str(&x->body.trailers) : (struct str){NULL, 0};
}

void exchange_on_gone(struct exchange *x, exchange_fn *fn, void *ctx)
{
    x->on_gone = fn;
    x->gone_ctx = ctx;
}

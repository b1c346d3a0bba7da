/* SPDX-License-Identifier: Apache-2.0 */
/* The answer side of an exchange: heads, framing, the end. Called by handlers. */
#include <assert.h>
#include <sys/socket.h>

#include "http/server_internal.h"

/* How the body will travel, and whether the connection can survive it. */
static struct sink choose_framing(struct exchange *x, const struct reply *r)
{
    if (r->status < 200 || r->status == 204 || r->status == 304 || str_is(x->head.method, "HEAD"))
        return (struct sink){HTTP_NO_BODY, 0};
    if (r->length >= 0)
        return (struct sink){HTTP_LENGTH, (uint64_t)r->length};
    if (x->head.minor > 0)
        return (struct sink){HTTP_CHUNKED, 0};
    x->must_close = true;
    return (struct sink){HTTP_UNTIL_CLOSE, 0};
}

static void put_connection(const struct exchange *x, unsigned status, struct buf *out)
{
    if (status == 101)
        http_put_field_text(out, "Connection", "Upgrade");
    else if (x->must_close)
        http_put_field_text(out, "Connection", "close");
    else if (x->head.minor == 0)
        http_put_field_text(out, "Connection", "keep-alive");
}

/* Build the head in the server's scratch buffer. A field that would break it makes it a 500. */
static struct str build_head(struct exchange *x, const struct reply *r)
{
    struct http_server *server = x->session->server;
    struct buf *out = &server->scratch;
    bool has_length = r->length >= 0 && r->status >= 200 && r->status != 204 && r->status != 304;

    /* A body that was never asked for may come or not: where the next request starts is unknown. */
    if (r->close || server->is_draining || server->is_retiring ||
        (x->head.expects_continue && !x->is_continued))
        x->must_close = true;
    x->sink = choose_framing(x, r);
    buf_clear(out);
    http_put_status_line(out, r->status);
    http_put_fields(out, r->fields, r->field_count);
    if (has_length)
        http_put_field_u64(out, "Content-Length", (uint64_t)r->length);
    else if (x->sink.framing == HTTP_CHUNKED)
        http_put_field_text(out, "Transfer-Encoding", "chunked");
    put_connection(x, r->status, out);
    buf_add_str(out, STR("\r\n"));
    if (buf_ok(out))
        return buf_str(out);
    x->must_close = true;
    x->sink = (struct sink){HTTP_NO_BODY, 0};
    buf_clear(out);
    buf_add_str(out, STR("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                         "Connection: close\r\n\r\n"));
    return buf_str(out);
}

static void answered(struct exchange *x)
{
    x->is_answered = true;
    session_wake(x->session);
}

void exchange_reply(struct exchange *x, unsigned status, const char *content_type, struct str body)
{
    struct http_field type = {STR("Content-Type"), str_of(content_type)};
    struct reply r = {status, &type, content_type != NULL ? 1 : 0, (int64_t)body.len, false};
    struct session *s = x->session;
    struct str parts[2];

    if (x->is_over)
        return;
    assert(!x->is_started && status >= 200);
    /* more of the request is to come than we are going to skip */
    r.close = x->body.framing == HTTP_LENGTH &&
              x->body.left > s->server->limits.drain_max + s->stream.in.len;
    parts[0] = build_head(x, &r);
    parts[1] = x->sink.framing == HTTP_LENGTH ? body : (struct str){NULL, 0};
    x->is_started = true;
    ignore(outbox_send(&s->out, parts, 2)); /* a dead peer is noticed by the loop */
    answered(x);
}

void exchange_start(struct exchange *x, const struct reply *r)
{
    struct str head;

    if (x->is_over)
        return;
    assert(!x->is_started && (r->status >= 200 || r->status == 101));
    head = build_head(x, r);
    x->is_started = true;
    ignore(outbox_put(&x->session->out, &head, 1)); /* the first write tells */
    session_wake(x->session);
}

bool exchange_write(struct exchange *x, struct str data)
{
    if (x->is_over)
        return true;
    assert(x->is_started && !x->is_answered);
    session_wake(x->session);
    return sink_write(&x->sink, &x->session->out, data);
}

ssize_t exchange_send_file(struct exchange *x, int fd, size_t len)
{
    struct session *s = x->session;
    ssize_t n;

    if (x->is_over)
        return 0;
    assert(x->is_started && !x->is_answered && x->sink.framing == HTTP_LENGTH);
    outbox_flush(&s->out);
    n = stream_send_file(&s->stream, fd, x->sink.left < len ? (size_t)x->sink.left : len);
    if (n > 0) {
        x->sink.left -= (uint64_t)n;
        s->out.total += (uint64_t)n;
    }
    session_wake(s);
    return n;
}

void exchange_on_drain(struct exchange *x, exchange_fn *fn, void *ctx)
{
    x->on_drain = fn;
    x->drain_ctx = ctx;
}

void exchange_end(struct exchange *x)
{
    exchange_end_with(x, (struct str){NULL, 0});
}

void exchange_end_with(struct exchange *x, struct str trailers)
{
    if (x->is_over)
        return;
    assert(x->is_started && !x->is_answered);
    if (sink_end(&x->sink, &x->session->out, trailers) != 0)
        exchange_abort(x);
    else
        answered(x);
}

bool exchange_is_started(const struct exchange *x)
{
    return x->is_started;
}

void exchange_abort(struct exchange *x)
{
    struct session *s = x->session;
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    if (x->is_over)
        return;
    x->is_over = true;
    outbox_flush(&s->out);
    /* A body that ends with the connection has no other way to say that it is not whole. */
    if (x->is_started && x->sink.framing == HTTP_UNTIL_CLOSE)
        ignore(setsockopt(s->stream.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)));
    session_close(s);
}

/* False: the peer left. */
static bool detach(struct exchange *x, struct buf *out_rest)
{
    struct session *s = x->session;

    assert(x->is_started && x->sink.framing == HTTP_NO_BODY);
    x->is_over = true;
    outbox_flush(&s->out);
    if (stream_unsent(&s->stream) > 0 || s->stream.sys != 0 || s->stream.fd < 0)
        return false;
    *out_rest = s->stream.in;
    buf_init(&s->stream.in, HTTP_IN_MAX);
    s->is_detached = true;
    return true;
}

int exchange_detach(struct exchange *x, struct buf *out_rest)
{
    struct session *s = x->session;
    int fd = -1;

    if (x->is_over)
        return -1;
    if (detach(x, out_rest))
        fd = stream_detach(&s->stream);
    session_close(s);
    return fd;
}

bool exchange_has_transport(const struct exchange *x)
{
    return stream_over(&x->session->stream) != NULL;
}

struct transport *exchange_detach_over(struct exchange *x, struct buf *out_rest)
{
    struct session *s = x->session;
    struct transport *t = NULL;

    if (x->is_over)
        return NULL;
    if (detach(x, out_rest))
        t = stream_detach_over(&s->stream);
    session_close(s);
    return t;
}

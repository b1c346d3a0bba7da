/* SPDX-License-Identifier: Apache-2.0 */
/* The two half-streams of a proxied request, and the tunnel behind a 101. Each half stops its
 * source while its sink is slow, so a stalled peer holds a bounded number of bytes. Part of
 * proxy.h.
 */
#include "base/log.h"
#include "edge/forward.h"
#include "edge/proxy.h"

enum {
    TUNNEL_IDLE_MS = 0 /* WebSockets may be silent for ever; the sandbox's end ends them */
};

enum { TRAILERS_OUT_MAX = 16 << 10 };

/* Nothing of them for the control plane, which knows none. */
static struct str trailers_of(const struct proxy *p, struct str lines, struct buf *out)
{
    buf_init(out, TRAILERS_OUT_MAX);
    if (p->target.kind == TARGET_SANDBOX)
        forward_trailers(lines, out);
    return buf_ok(out) ? buf_str(out) : (struct str){NULL, 0};
}

/* Client -> upstream. */

static void on_request_moved(void *ctx, size_t len)
{
    struct proxy *p = ctx;

    p->is_upload_stopped = len == 0;
    p->bytes_in += len;
    p->fed_ms = loop_now_ms(p->worker->loop);
}

static size_t on_request_body(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct proxy *p = ctx;
    struct buf trailers = {0};

    if (data.len > 0) {
        if (p->conn == NULL || p->is_upload_stopped)
            return 0;
        p->has_sent_body = true;
        if (timer_running(&p->pause))
            upstream_await_api(p); /* its time begins when it has all */
        p->is_upload_stopped = !http_conn_write(p->conn, data);
        p->bytes_in += data.len;
        p->fed_ms = loop_now_ms(p->worker->loop);
        if (p->target.kind == TARGET_SANDBOX) /* with api the time to answer starts at each piece */
            exchange_splice(x, p->conn, on_request_moved, p);
    }
    if (is_last && !p->has_request_end) {
        p->has_request_end = true;
        timer_stop(&p->stall);
        if (p->conn != NULL)
            http_conn_end_with(p->conn, trailers_of(p, exchange_trailers(x), &trailers));
        buf_done(&trailers);
    }
    return data.len;
}

/* Who sends nothing for so long holds a connection into the sandbox for nothing. A stream that was
 * answered may be silent: then both ends know of each other. */
static void check_stall(void *ctx)
{
    struct proxy *p = ctx;
    uint64_t now = loop_now_ms(p->worker->loop), limit_ms = p->worker->config->upload_stall_ms;

    if (p->is_upload_stopped)
        p->fed_ms = now; /* it is the server that is slow */
    if (now - p->fed_ms < limit_ms) {
        timer_start(p->worker->loop, &p->stall, p->fed_ms + limit_ms - now, check_stall, p);
        return;
    }
    p->worker->traffic.stalled++;
    if (p->target.kind == TARGET_CONTROL)
        proxy_api_error(p, 408, "The request stopped before its end");
    else
        proxy_page(p, PAGE_STALLED);
}

static void on_upload_drain(void *ctx)
{
    struct proxy *p = ctx;

    p->is_upload_stopped = false;
    exchange_resume(p->x);
}

/* Upstream -> client. */

static void on_answer_drain(void *ctx, struct exchange *x)
{
    struct proxy *p = ctx;

    ignore(x == p->x);
    p->is_answer_stopped = false;
    http_conn_resume(p->conn);
}

static void on_answer_moved(void *ctx, size_t len)
{
    struct proxy *p = ctx;

    p->bytes_out += len;
}

static size_t on_answer_body(void *ctx, struct str data, bool is_last)
{
    struct proxy *p = ctx;
    struct exchange *x = p->x;
    struct buf trailers;

    if (data.len > 0) {
        if (p->is_answer_stopped)
            return 0;
        p->is_answer_stopped = !exchange_write(x, data);
        p->bytes_out += data.len;
    }
    if (is_last) {
        proxy_note(p, NULL);
        exchange_on_gone(x, NULL, NULL);
        exchange_end_with(x, trailers_of(p, http_conn_trailers(p->conn), &trailers));
        buf_done(&trailers);
        upstream_release(p);
        proxy_end(p);
    }
    return data.len;
}

static void on_tunnel_end(void *ctx)
{
    struct proxy *p = ctx;

    p->tunnel = NULL;
    proxy_end(p);
}

static void start_tunnel(struct proxy *p, const struct reply *r)
{
    struct exchange *x = p->x;
    struct http_conn *conn = take_ptr(&p->conn);
    struct buf from_client, from_upstream;
    struct relay_spec spec = {
        .a = -1, .idle_ms = TUNNEL_IDLE_MS, .on_end = on_tunnel_end, .ctx = p};
    struct err err;
    unsigned tag = exchange_tag(x);
    bool has_client;

    proxy_become(p, TRAFFIC_TUNNEL);
    proxy_note(p, NULL);
    p->x = NULL;
    exchange_on_gone(x, NULL, NULL);
    exchange_start(x, r);
    buf_init(&from_client, 0);
    buf_init(&from_upstream, 0);
    if (exchange_has_transport(x))
        spec.over_a = exchange_detach_over(x, &from_client);
    else
        spec.a = exchange_detach(x, &from_client);
    has_client = spec.a >= 0 || spec.over_a != NULL;
    spec.b = http_conn_detach(conn, &from_upstream);
    spec.to_a = buf_str(&from_upstream);
    spec.to_b = buf_str(&from_client);
    /* the server does not count it any more */
    p->has_client = has_client && (tag & TAG_STREAM) == 0;
    p->peer_slot = tag >> TAG_BITS;
    if (!has_client || spec.b < 0) { /* one of them left just now */
        relay_refuse(&spec);
        proxy_end(p);
    } else if (relay_start(p->worker->loop, &spec, &p->tunnel, &err) != 0) {
        log_warn("edge.tunnel_failed", "error=\"%s\"", err.text);
        proxy_end(p);
    }
    buf_done(&from_client);
    buf_done(&from_upstream);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct proxy *p = ctx;
    struct forward_fields fields;
    struct reply r = {.status = h->status, .length = REPLY_CHUNKED};

    if (h->status == 101 && !exchange_head(p->x)->is_upgrade) {
        upstream_failed(p, false);
        return;
    }
    forward_answer(h, &fields);
    r.fields = fields.at;
    r.field_count = fields.count;
    p->has_head = true;
    p->status = h->status;
    timer_stop(&p->pause);
    timer_stop(&p->stall);
    if (h->status == 101) {
        start_tunnel(p, &r);
        return;
    }
    if (h->framing == HTTP_LENGTH || http_field(h, "Content-Length").at != NULL)
        r.length = (int64_t)h->body_length; /* also of an answer to HEAD */
    exchange_on_drain(p->x, on_answer_drain, p);
    exchange_start(p->x, &r);
    http_conn_splice(p->conn, p->x, on_answer_moved, p);
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    ignore(err->kind); /* told to the client by status; what it was does not change the answer */
    upstream_failed(ctx, is_fresh);
}

const struct call_events body_events = {
    .on_head = on_head,
    .on_body = on_answer_body,
    .on_drain = on_upload_drain,
    .on_fail = on_fail,
};

void body_begin(struct proxy *p)
{
    p->is_upload_stopped = false;
    if (p->has_request_end)
        return;
    p->fed_ms = loop_now_ms(p->worker->loop);
    if (p->worker->config->upload_stall_ms > 0)
        timer_start(p->worker->loop, &p->stall, p->worker->config->upload_stall_ms, check_stall, p);
    if (p->wants_body) {
        exchange_resume(p->x);
        return;
    }
    p->wants_body = true; /* not before: a 100 Continue promises that somebody reads */
    exchange_on_body(p->x, on_request_body, p);
}

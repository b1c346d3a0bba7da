/* SPDX-License-Identifier: Apache-2.0 */
/* Gets a connection for a proxied request - from the pool, from api's socket, or from node - and
 * sends the request on it. Part of proxy.h. */
#include <netinet/in.h>
#include <sys/socket.h>

#include "edge/forward.h"
#include "edge/proxy.h"
#include "http/h2_client.h"

static struct str site_id(const struct proxy *p)
{
    return (struct str){p->target.id, p->target.id_len}; /* empty for the control plane */
}

static void on_api_silent(void *ctx)
{
    struct proxy *p = ctx;

    proxy_api_error(p, 504, "The control plane did not answer in time");
}

void upstream_await_api(struct proxy *p)
{
    uint32_t wait_ms = p->worker->config->api_answer_ms;

    timer_start(p->worker->loop, &p->pause, wait_ms > 0 ? wait_ms : PROXY_API_ANSWER_MS,
                on_api_silent, p);
}

static void send_request(struct proxy *p, struct http_conn *conn)
{
    const struct http_head *h = exchange_head(p->x);
    struct forward_rule rule = {.is_data_plane = p->target.kind == TARGET_SANDBOX,
                                .is_secure = (exchange_tag(p->x) & TAG_SECURE) != 0,
                                .mask_host = p->mask_host};
    struct forward_fields fields;
    struct call_request r = {
        .method = h->method,
        .target = target_behind(&p->target, exchange_arena(p->x), h->target),
        .is_upgrade = h->is_upgrade,
        .upgrade = h->is_upgrade ? http_field(h, "Upgrade") : (struct str){0},
    };

    if (!rule.is_data_plane)
        rule.peer = exchange_peer(p->x);
    rule.request_id = p->request_id;
    forward_request(h, &rule, exchange_arena(p->x), &fields);
    r.fields = fields.at;
    r.field_count = fields.count;
    if (h->framing == HTTP_CHUNKED)
        r.length = REPLY_CHUNKED;
    else if (h->framing == HTTP_LENGTH)
        r.length = (int64_t)h->body_length;
    if (r.length == 0)
        p->has_request_end = true;
    p->conn = conn;
    http_conn_call(conn, &r, &body_events, p);
    if (p->has_request_end)
        http_conn_end(conn); /* a second try: the end of an empty body comes only once */
    if (p->target.kind == TARGET_CONTROL)
        upstream_await_api(p);
    body_begin(p);
}

/* Its servers speak nothing but HTTP/2, by prior knowledge where there is no TLS. "grpc-web" is for
 * those that do not. */
static bool is_grpc(const struct proxy *p)
{
    struct str type = http_field(exchange_head(p->x), "Content-Type");

    return p->target.kind == TARGET_SANDBOX && p->target.port != ENVD_PORT &&
           str_has_prefix(type, "application/grpc") &&
           !str_has_prefix(type, "application/grpc-web");
}

static void on_fd(struct proxy *p, int fd, bool is_connecting)
{
    struct http_conn *conn;
    struct transport *h2;
    struct err err;
    bool is_open = is_grpc(p)
                       ? h2_client_open(p->worker->loop, fd, is_connecting, &h2, &err) == 0 &&
                             http_conn_new_over(h2, &conn, &err) == 0
                       : http_conn_new(p->worker->loop, fd, is_connecting, &conn, &err) == 0;

    if (is_open)
        send_request(p, conn);
    else if (p->target.kind == TARGET_SANDBOX)
        proxy_page(p, PAGE_BUSY);
    else
        proxy_api_error(p, 503, "The server is short of resources");
}

static void dial(void *ctx);

static void port_closed(struct proxy *p)
{
    if (p->target.port == ENVD_PORT || p->dials >= PROXY_DIALS_MAX) {
        proxy_page(p, PAGE_PORT_CLOSED);
        return;
    }
    timer_start(p->worker->loop, &p->pause, (uint64_t)p->dials * PROXY_DIAL_STEP_MS, dial, p);
}

static void on_dialed(void *ctx, enum err_kind kind, int fd)
{
    struct proxy *p = ctx;
    struct sockaddr_in6 peer;
    socklen_t peer_len = sizeof peer;

    switch ((int)kind) {
    case ERR_NONE: on_fd(p, fd, getpeername(fd, (struct sockaddr *)&peer, &peer_len) != 0); break;
    case ERR_UNAVAILABLE: port_closed(p); break;
    case ERR_NOT_FOUND:
        routes_drop(&p->worker->routes, p->target.id);
        proxy_page(p, PAGE_NOT_FOUND);
        break;
    default: proxy_page(p, PAGE_BUSY);
    }
}

static void dial(void *ctx)
{
    struct proxy *p = ctx;
    struct dial_to to = {p->target.id, p->target.port};

    p->dials++;
    dial_start(&p->worker->dialer, &p->dial, &to, on_dialed, p);
}

static void connect_api(void *ctx)
{
    struct proxy *p = ctx;
    struct worker *w = p->worker;
    struct err err;
    int fd;

    if (socket_connect_unix(w->config->api_socket, SOCK_STREAM, &fd, &err) == 0)
        on_fd(p, fd, false);
    else if (loop_now_ms(w->loop) - p->started_ms < PROXY_API_WAIT_MS)
        timer_start(w->loop, &p->pause, PROXY_API_STEP_MS, connect_api, p);
    else
        proxy_api_error(p, 503, "The control plane is not available. Try again in a moment");
}

void upstream_connect(struct proxy *p)
{
    struct http_conn *conn = NULL;

    if (!p->has_retried && !is_grpc(p))
        conn = pool_take(&p->worker->pool, site_id(p), p->target.port);
    p->is_pooled = conn != NULL;
    if (conn != NULL)
        send_request(p, conn);
    else if (p->target.kind == TARGET_SANDBOX)
        dial(p);
    else
        connect_api(p);
}

/* Those that may run twice (RFC 9110 9.2.2): a server that got any other one and went away may have
 * done what it asks. */
static bool is_idempotent(struct str method)
{
    static const char *const methods[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"};

    for (size_t i = 0; i < COUNT_OF(methods); i++) {
        if (str_is(method, methods[i]))
            return true;
    }
    return false;
}

void upstream_failed(struct proxy *p, bool is_fresh)
{
    bool may_retry = is_fresh && !p->has_sent_body && is_idempotent(exchange_head(p->x)->method);

    timer_stop(&p->pause);
    http_conn_free(p->conn);
    p->conn = NULL;
    if (p->has_head) {
        struct exchange *x = p->x;

        proxy_note(p, "server");
        exchange_on_gone(x, NULL, NULL);
        exchange_abort(x);
        proxy_end(p);
    } else if (may_retry && p->is_pooled && !p->has_retried) {
        p->has_retried = true;
        p->started_ms = loop_now_ms(p->worker->loop); /* api may be restarting: wait as at first */
        upstream_connect(p);
    } else if (p->target.kind == TARGET_SANDBOX) {
        proxy_page(p, PAGE_PORT_CLOSED);
    } else {
        proxy_api_error(p, 502, "The control plane closed the connection. Try again");
    }
}

void upstream_release(struct proxy *p)
{
    struct http_conn *conn = take_ptr(&p->conn);

    if (p->has_request_end && !http_conn_has_transport(conn))
        pool_give(&p->worker->pool, site_id(p), p->target.port, conn);
    else
        http_conn_free(conn);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest server on http/server.h: for http_compare.py, which sends it the same bytes as other
 * servers, and for measurements (GET /hello, POST /echo answers as the body comes).
 *
 *   http_echo [127.0.0.1:0]    prints "port N", serves until SIGTERM */
#include <signal.h>
#include <stdio.h>

#include "http/server.h"
#include "io/socket.h"

struct echo {
    struct loop *loop;
    struct http_server *server;
    struct listener listener;
};

struct flow {
    bool is_stopped; /* the peer does not read its echo */
};

static size_t on_body(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct flow *flow = ctx;

    if (is_last)
        exchange_end(x);
    if (is_last || flow->is_stopped)
        return 0;
    flow->is_stopped = !exchange_write(x, data);
    return data.len;
}

static void on_drain(void *ctx, struct exchange *x)
{
    struct flow *flow = ctx;

    flow->is_stopped = false;
    exchange_resume(x);
}

static void stream_back(struct exchange *x)
{
    const struct reply r = {.status = 200, .length = REPLY_CHUNKED};
    struct flow *flow = arena_alloc(exchange_arena(x), sizeof(*flow));

    if (flow == NULL) {
        exchange_abort(x);
        return;
    }
    exchange_start(x, &r);
    exchange_on_drain(x, on_drain, flow);
    exchange_on_body(x, on_body, flow);
}

static void on_collected(void *ctx, struct exchange *x)
{
    ignore(ctx == NULL);
    exchange_reply(x, 200, "application/octet-stream", exchange_body(x));
}

static void on_request(void *ctx, struct exchange *x)
{
    const struct http_head *h = exchange_head(x);

    if (str_is(h->path, "/hello"))
        exchange_reply(x, 200, "text/plain", STR("hello"));
    else if (str_is(h->path, "/stream"))
        stream_back(x);
    else
        exchange_collect(x, 1 << 20, on_collected, NULL, ctx);
}

static void on_accept(void *ctx, int fd)
{
    struct echo *e = ctx;

    http_server_adopt(e->server, fd, 0);
}

static void on_stop(void *ctx)
{
    struct echo *e = ctx;

    loop_stop(e->loop);
}

static int run(const char *address, struct err *err)
{
    struct echo e = {0};
    int fd;

    if (loop_new(&e.loop, err) != 0 || loop_on_signal(e.loop, SIGTERM, on_stop, &e, err) != 0)
        return -1;
    if (http_server_new(e.loop, NULL, on_request, &e, &e.server, err) != 0)
        return -1;
    if (socket_listen_tcp(address, false, &fd, err) != 0 ||
        listener_start(&e.listener, e.loop, fd, on_accept, &e, err) != 0)
        return -1;
    printf("port %u\n", socket_port(fd));
    fflush(stdout);
    if (loop_run(e.loop, err) != 0)
        return -1;
    listener_stop(&e.listener);
    http_server_free(e.server);
    loop_free(e.loop);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err;

    if (run(argc > 1 ? argv[1] : "127.0.0.1:0", &err) == 0)
        return 0;
    fprintf(stderr, "http_echo: %s\n", err.text);
    return 1;
}

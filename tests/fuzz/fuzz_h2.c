/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http: a connection of HTTP/2 behind its preface, before a server that answers each request
 * with its own body. Whatever comes, it ends when the peer ends, and nothing is left. */
#include <assert.h>
#include <signal.h>
#include <sys/socket.h>

#include "http/h2.h"
#include "io/socket.h"

enum {
    INPUT_MAX = 32 << 10,
    PATIENCE_MS = 60 * 1000, /* a fuzzer may wait long for its processor */
};

static struct loop *loop;
static struct http_server *server;
static struct h2_server *h2;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void answer(void *ctx, struct exchange *x)
{
    ignore(ctx == NULL);
    exchange_reply(x, 200, "text/plain", exchange_body(x));
}

static void on_request(void *ctx, struct exchange *x)
{
    exchange_collect(x, INPUT_MAX, answer, NULL, ctx);
}

static void on_close(void *ctx, unsigned tag)
{
    ignore(ctx == NULL);
    if (tag == 1)
        loop_stop(loop);
}

static void on_patience(void *ctx)
{
    ignore(ctx == NULL);
    assert(!"the connection does not end");
}

static void set_up(void)
{
    const struct http_limits limits = {.head_ms = 2 * PATIENCE_MS};
    struct err err;

    signal(SIGPIPE, SIG_IGN);
    assert(loop_new(&loop, &err) == 0);
    assert(http_server_new(loop, &limits, on_request, NULL, &server, &err) == 0);
    assert(h2_server_new(loop, server, &limits, &h2, &err) == 0);
    h2_server_on_close(h2, on_close, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    struct timer patience = {0};
    struct err err;
    int fds[2];

    if (size > INPUT_MAX)
        return 0;
    if (loop == NULL)
        set_up();
    assert(socket_pair(SOCK_STREAM, fds, &err) == 0);
    assert(send(fds[0], preface, sizeof(preface) - 1, MSG_NOSIGNAL) > 0);
    assert(size == 0 || send(fds[0], data, size, MSG_NOSIGNAL) == (ssize_t)size);
    assert(shutdown(fds[0], SHUT_WR) == 0);
    h2_server_adopt(h2, fds[1], (struct str){NULL, 0}, 1, 0);
    timer_start(loop, &patience, PATIENCE_MS, on_patience, NULL);
    assert(loop_run(loop, &err) == 0);
    timer_stop(&patience);
    own_close_fd(&fds[0]);
    assert(h2_server_connections(h2) == 0);
    return 0;
}

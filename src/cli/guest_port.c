/* SPDX-License-Identifier: Apache-2.0 */
/* One call on a socket of its own; see guest_port.h. Called by run.c. */
#include "cli/guest_port.h"

#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>

#include "http/client.h"
#include "io/socket.h"
#include "io/stream.h"
#include "ipc/channel.h"
#include "ipc/node_messages.h"

enum { REFUSAL_MAX = 4096 };

struct talk {
    const struct guest_port *port;
    const struct guest_call *call;
    struct channel *node;
    struct http_conn *conn;
    struct timer timer;
    size_t sent; /* of the body */
    unsigned status;
    struct buf refusal;
    struct err err;
    bool is_done;
};

static void finish(struct talk *t)
{
    t->is_done = true;
    loop_stop(t->port->loop);
}

static void fail(struct talk *t, const struct err *err)
{
    if (t->is_done)
        return;
    t->err = *err;
    finish(t);
}

static void on_timeout(void *ctx)
{
    struct err err;

    ignore(err_set(&err, ERR_TIMEOUT, "no answer in time")); /* always -1 */
    fail(ctx, &err);
}

/* The answer */

static void on_head(void *ctx, const struct http_head *h)
{
    struct talk *t = ctx;

    t->status = h->status;
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct talk *t = ctx;
    const struct guest_call *c = t->call;

    if (t->is_done)
        return data.len;
    if (t->status != 200)
        buf_add_str(&t->refusal, str_upto(data, buf_left(&t->refusal)));
    else if (data.len > 0 && c->on_data != NULL && !c->on_data(c->ctx, data))
        finish(t);
    if (is_last)
        finish(t);
    return data.len;
}

static void send_body(void *ctx)
{
    struct talk *t = ctx;
    struct str rest = str_from(t->call->body, t->sent);
    bool may_go_on = true;

    while (may_go_on && rest.len > 0) {
        struct str part = str_upto(rest, STREAM_HIGH);

        may_go_on = http_conn_write(t->conn, part);
        rest = str_from(rest, part.len);
    }
    t->sent = t->call->body.len - rest.len;
    if (rest.len == 0)
        http_conn_end(t->conn);
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    ignore(is_fresh); /* nothing is sent twice */
    fail(ctx, err);
}

/* The socket */

static void ask(struct talk *t, int fd)
{
    static const struct call_events events = {on_head, on_body, send_body, on_fail};
    struct http_field fields[] = {
        {STR("Host"),           STR("localhost")       },
        {STR("Content-Type"),   STR("application/json")},
        {STR("X-Access-Token"), t->call->token         },
    };
    const struct call_request request = {.method = str_of(t->call->method),
                                         .target = str_of(t->call->path),
                                         .fields = fields,
                                         .field_count =
                                             COUNT_OF(fields) - (t->call->token.len == 0),
                                         .length = (int64_t)t->call->body.len};
    struct err err;

    if (http_conn_new(t->port->loop, fd, true, &t->conn, &err) != 0) {
        fail(t, &err);
        return;
    }
    http_conn_call(t->conn, &request, &events, t);
    send_body(t);
}

static void on_dialed(void *ctx, unsigned type, const void *message, int fd)
{
    const struct node_done *done = message;
    struct talk *t = ctx;
    auto_fd int passed = fd;
    struct err err;

    if (type != NODE_DIALED || t->conn != NULL || t->is_done)
        return;
    if (done->kind == ERR_NONE && passed >= 0) {
        ask(t, take_fd(&passed));
        return;
    }
    ignore(err_set(&err, done->kind == ERR_NONE ? ERR_SYSTEM : (enum err_kind)done->kind, "%.*s",
                   STR_ARG(done->text)));
    fail(t, &err);
}

static void on_gone(void *ctx, const struct err *why)
{
    struct talk *t = ctx;

    if (t->conn == NULL)
        fail(t, why);
}

static int dial(struct talk *t, struct err *err)
{
    const struct guest_port *g = t->port;
    const struct node_dial m = {.seq = 1, .id = str_of(g->id), .port = g->port};
    char path[PATH_MAX];
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/dial.sock", g->run_dir) >= sizeof path)
        return err_set(err, ERR_INVALID, "run_dir is too long");
    if (socket_connect_unix(path, SOCK_SEQPACKET, &fd, err) != 0 ||
        channel_new(g->loop, fd, &node_protocol, on_dialed, on_gone, t, &t->node, err) != 0)
        return -1;
    return channel_send(t->node, NODE_DIAL, &m, -1, err);
}

static int result_of(const struct talk *t, struct err *err)
{
    if (!t->is_done)
        return err_set(err, ERR_CONFLICT, "interrupted");
    if (t->err.kind != ERR_NONE) {
        *err = t->err;
        return -1;
    }
    if (t->status != 200)
        return err_set(err, t->status == 404 ? ERR_NOT_FOUND : ERR_INVALID, "%.*s (%u)",
                       STR_ARG(buf_str(&t->refusal)), t->status);
    return 0;
}

int guest_port_call(const struct guest_port *g, const struct guest_call *c, struct err *err)
{
    struct talk t = {.port = g, .call = c};
    int result;

    buf_init(&t.refusal, REFUSAL_MAX);
    timer_start(g->loop, &t.timer, c->timeout_ms, on_timeout, &t);
    result = dial(&t, err);
    if (result == 0)
        result = loop_run(g->loop, err);
    if (result == 0)
        result = result_of(&t, err);
    timer_stop(&t.timer);
    http_conn_free(t.conn);
    channel_free(t.node);
    buf_done(&t.refusal);
    return result == 0 ? 0 : err_wrap(err, "port %u of sandbox '%s'", g->port, g->id);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* GET /envs of the envd in our sandbox. Called by context.c before a context's first job. */
#include "interpreter/globals.h"

#include <stdio.h>

#include "codec/codec.h"
#include "http/client.h"
#include "interpreter/variables.h"
#include "io/socket.h"

enum {
    ANSWER_MAX = 1 << 20,
    TIMEOUT_MS = 3000,
};

struct globals_call {
    struct http_conn *conn;
    struct timer timer;
    struct buf body;
    unsigned status;
    globals_fn *fn;
    void *ctx;
};

bool globals_are_valid(struct str json)
{
    struct variables v;
    bool is_valid;

    if (!json_valid(json))
        return false;
    is_valid = variables_read(&v, json, 2 * ANSWER_MAX);
    variables_done(&v);
    return is_valid;
}

void globals_cancel(struct globals_call *c)
{
    if (c == NULL)
        return;
    timer_stop(&c->timer);
    http_conn_free(c->conn);
    buf_done(&c->body);
    free(c);
}

static void finish(struct globals_call *c, bool is_good)
{
    globals_fn *fn = c->fn;
    void *ctx = c->ctx;
    struct buf body = c->body;

    buf_init(&c->body, 0);
    is_good = is_good && c->status == 200 && buf_ok(&body) && globals_are_valid(buf_str(&body));
    globals_cancel(c);
    fn(ctx, is_good ? buf_str(&body) : (struct str){0});
    buf_done(&body);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct globals_call *c = ctx;

    c->status = h->status;
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct globals_call *c = ctx;

    buf_add_str(&c->body, data);
    if (is_last)
        finish(c, true);
    return data.len;
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    ignore(err == NULL || is_fresh); /* without them the code runs all the same */
    finish(ctx, false);
}

static void on_timeout(void *ctx)
{
    finish(ctx, false);
}

struct globals_call *globals_fetch(struct loop *l, uint16_t envd_port, struct str token,
                                   globals_fn *fn, void *ctx)
{
    static const struct call_events events = {
        .on_head = on_head, .on_body = on_body, .on_fail = on_fail};
    const struct http_field fields[] = {
        {STR("Host"),           STR("localhost")},
        {STR("X-Access-Token"), token           }
    };
    const struct call_request request = {.method = STR("GET"),
                                         .target = STR("/envs"),
                                         .fields = fields,
                                         .field_count = token.len > 0 ? 2 : 1};
    struct globals_call *c = mem_zero(sizeof(*c));
    char address[32];
    struct err err;
    int fd;

    *c = (struct globals_call){.fn = fn, .ctx = ctx};
    buf_init(&c->body, ANSWER_MAX);
    snprintf(address, sizeof(address), "127.0.0.1:%u", envd_port);
    if (socket_connect_tcp(address, &fd, &err) != 0 ||
        http_conn_new(l, fd, true, &c->conn, &err) != 0) {
        free(c);
        return NULL;
    }
    timer_start(l, &c->timer, TIMEOUT_MS, on_timeout, c);
    http_conn_call(c->conn, &request, &events, c);
    http_conn_end(c->conn);
    return c;
}

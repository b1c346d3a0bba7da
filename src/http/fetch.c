/* SPDX-License-Identifier: Apache-2.0 */
/* One blocking request on a loop of its own. For command-line tools only. */
#include <errno.h>
#include <sys/socket.h>

#include "http/client.h"
#include "io/socket.h"
#include "io/stream.h"

enum { ADDRESS_MAX = 256 };

struct fetch {
    struct loop *loop;
    struct http_conn *conn;
    struct timer timer;
    struct str body;
    size_t sent;
    struct http_answer *answer;
    struct err err;
    bool is_done;
};

static void finish(struct fetch *f)
{
    f->is_done = true;
    loop_stop(f->loop);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct fetch *f = ctx;

    f->answer->status = h->status;
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct fetch *f = ctx;

    buf_add_str(&f->answer->body, data);
    if (!buf_ok(&f->answer->body)) {
        ignore(err_set(&f->err, ERR_LIMIT, "answer is too large")); /* always -1 */
        finish(f);
    } else if (is_last) {
        finish(f);
    }
    return data.len;
}

static void send_body(void *ctx)
{
    struct fetch *f = ctx;
    bool may_go_on = true;

    while (may_go_on && f->sent < f->body.len) {
        struct str part = str_upto(str_from(f->body, f->sent), STREAM_HIGH);

        may_go_on = http_conn_write(f->conn, part);
        f->sent += part.len;
    }
    if (f->sent == f->body.len)
        http_conn_end(f->conn);
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    struct fetch *f = ctx;

    ignore(is_fresh);
    f->err = *err;
    finish(f);
}

static void on_timeout(void *ctx)
{
    struct fetch *f = ctx;

    ignore(err_set(&f->err, ERR_TIMEOUT, "no answer in time")); /* always -1 */
    finish(f);
}

static int connect_to(const char *address, int *out_fd, struct err *err)
{
    char text[ADDRESS_MAX];

    if (str_find(str_of(address), '/') >= 0)
        return socket_connect_unix(address, SOCK_STREAM, out_fd, err);
    if (!str_has_prefix(str_of(address), "localhost:"))
        return socket_connect_tcp(address, out_fd, err);
    if (!str_to_c(str_of(address), text, sizeof(text)))
        return err_set(err, ERR_INVALID, "address is too long");
    /* "127.0.0.1" is as long as "localhost" */
    memcpy(text, "127.0.0.1", 9);
    return socket_connect_tcp(text, out_fd, err);
}

static int run(struct fetch *f, const struct call_request *r, uint32_t timeout_ms, struct err *err)
{
    static const struct call_events events = {on_head, on_body, send_body, on_fail};
    struct call_request own = *r;

    own.length = (int64_t)f->body.len;
    timer_start(f->loop, &f->timer, timeout_ms, on_timeout, f);
    http_conn_call(f->conn, &own, &events, f);
    send_body(f);
    if (!f->is_done && loop_run(f->loop, err) != 0)
        return -1;
    if (f->err.kind != ERR_NONE) {
        *err = f->err;
        return -1;
    }
    return 0;
}

int http_fetch(const char *address, const struct call_request *r, struct str body,
               uint32_t timeout_ms, struct http_answer *out, struct err *err)
{
    struct fetch f = {.body = body};
    struct http_answer answer = {0};
    int fd = -1, result = -1;

    f.answer = &answer;
    buf_init(&answer.body, HTTP_FETCH_MAX);
    if (loop_new(&f.loop, err) != 0)
        return -1;
    if (connect_to(address, &fd, err) == 0 && http_conn_new(f.loop, fd, true, &f.conn, err) == 0)
        result = run(&f, r, timeout_ms, err);
    timer_stop(&f.timer);
    http_conn_free(f.conn);
    loop_free(f.loop);
    if (result == 0)
        *out = answer;
    else
        buf_done(&answer.body);
    return result == 0 ? 0 : err_wrap(err, "ask '%s'", address);
}

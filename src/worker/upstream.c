/* SPDX-License-Identifier: Apache-2.0 */
/* See upstream.h. */
#include "worker/upstream.h"

#include "io/stream.h"

enum { COPY_MAX = 16 << 10 };

struct upstream_call {
    struct loop *loop;
    struct address to;
    struct outdial *dial;
    struct http_conn *conn;
    struct timer deadline;
    struct buf fields_text; /* names and values of the caller's fields, one after another */
    size_t sizes[2 * UPSTREAM_FIELDS_MAX];
    size_t field_count;
    char method[8], target[UPSTREAM_TARGET_MAX];
    struct buf body, got;
    size_t sent;
    struct upstream_answer answer;
    upstream_part_fn *on_part;
    upstream_fn *fn;
    void *ctx;
    bool *is_gone; /* set when it is cancelled in on_part */
};

static void wipe(struct buf *b)
{
    if (b->at != NULL)
        explicit_bzero(b->at, b->len);
    buf_done(b);
}

void upstream_cancel(struct upstream_call *c)
{
    if (c == NULL)
        return;
    if (c->is_gone != NULL)
        *c->is_gone = true;
    outdial_cancel(c->dial);
    timer_stop(&c->deadline);
    http_conn_free(c->conn);
    wipe(&c->fields_text);
    wipe(&c->body);
    wipe(&c->got);
    free(c);
}

static void end(struct upstream_call *c)
{
    upstream_fn *fn = c->fn;
    void *ctx = c->ctx;
    struct upstream_answer answer = c->answer;
    struct buf got = c->got;

    c->got = (struct buf){0};
    answer.body = buf_str(&got);
    upstream_cancel(c);
    fn(ctx, &answer);
    wipe(&got);
}

static void fail(struct upstream_call *c, const struct err *err)
{
    c->answer.err = *err;
    c->answer.is_cut = c->answer.status != 0;
    c->answer.was_sent = c->conn != NULL;
    end(c);
}

static void on_deadline(void *ctx)
{
    struct err err = {0};

    err_set(&err, ERR_TIMEOUT, "no answer in time");
    fail(ctx, &err);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct upstream_call *c = ctx;

    c->answer.status = h->status;
    ignore(str_to_c(http_field(h, "X-Next-Token"), c->answer.next_token,
                    sizeof(c->answer.next_token))); /* one that is longer ends the paging */
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct upstream_call *c = ctx;
    bool is_gone = false;
    struct err err = {0};

    if (is_last) {
        end(c);
        return 0;
    }
    if (c->on_part != NULL && c->answer.status == 200) {
        c->is_gone = &is_gone;
        if (c->on_part(c->ctx, data) && !is_gone)
            c->is_gone = NULL;
        return data.len;
    }
    buf_add_str(&c->got, data);
    if (!buf_ok(&c->got)) {
        err_set(&err, ERR_LIMIT, "the answer is too large");
        fail(c, &err);
    }
    return data.len;
}

static void send_body(void *ctx)
{
    struct upstream_call *c = ctx;
    bool may_go_on = true;

    while (may_go_on && c->sent < c->body.len) {
        struct str part = str_upto(str_from(buf_str(&c->body), c->sent), STREAM_HIGH);

        may_go_on = http_conn_write(c->conn, part);
        c->sent += part.len;
    }
    if (c->sent == c->body.len)
        http_conn_end(c->conn);
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    ignore(is_fresh);
    fail(ctx, err);
}

static void send_request(struct upstream_call *c)
{
    static const struct call_events events = {on_head, on_body, send_body, on_fail};
    struct http_field fields[UPSTREAM_FIELDS_MAX + 1] = {
        {STR("Host"), str_of(c->to.authority)}
    };
    struct call_request r = {
        .method = str_of(c->method),
        .target = str_of(c->target),
        .fields = fields,
        .field_count = c->field_count + 1,
        .length = (int64_t)c->body.len,
    };
    struct str rest = buf_str(&c->fields_text);

    for (size_t i = 0; i < c->field_count; i++) {
        fields[i + 1].name = str_upto(rest, c->sizes[2 * i]);
        rest = str_from(rest, c->sizes[2 * i]);
        fields[i + 1].value = str_upto(rest, c->sizes[2 * i + 1]);
        rest = str_from(rest, c->sizes[2 * i + 1]);
    }
    http_conn_call(c->conn, &r, &events, c);
    send_body(c);
}

static void on_dialed(void *ctx, struct http_conn *conn, const struct err *err)
{
    struct upstream_call *c = ctx;

    c->dial = NULL;
    if (err != NULL) {
        fail(c, err);
        return;
    }
    c->conn = conn;
    send_request(c);
}

static void copy_fields(struct upstream_call *c, const struct upstream_ask *ask)
{
    buf_init(&c->fields_text, COPY_MAX);
    c->field_count = ask->field_count;
    for (size_t i = 0; i < ask->field_count; i++) {
        c->sizes[2 * i] = ask->fields[i].name.len;
        c->sizes[2 * i + 1] = ask->fields[i].value.len;
        buf_add_str(&c->fields_text, ask->fields[i].name);
        buf_add_str(&c->fields_text, ask->fields[i].value);
    }
}

static void on_too_long(void *ctx)
{
    struct err err = {0};

    err_set(&err, ERR_INVALID, "the request is too long");
    fail(ctx, &err);
}

struct upstream_call *upstream_start(struct dialer *d, struct loop *l, struct upstream_ask *ask,
                                     upstream_fn *fn, void *ctx)
{
    struct upstream_call *c = mem_zero(sizeof(*c));
    struct str path = str_of(ask->to->path), target = str_of(ask->target);

    c->loop = l;
    c->to = *ask->to;
    c->on_part = ask->on_part;
    c->fn = fn;
    c->ctx = ctx;
    copy_fields(c, ask);
    ignore(str_to_c(str_of(ask->method), c->method, sizeof(c->method))); /* ours */
    if (ask->body != NULL) {
        c->body = *ask->body;
        *ask->body = (struct buf){0};
    }
    buf_init(&c->got, ask->answer_max == 0 ? UPSTREAM_ANSWER_MAX : ask->answer_max);
    if (path.len + target.len >= sizeof(c->target) || !buf_ok(&c->fields_text) || c->body.failed) {
        timer_start(l, &c->deadline, 0, on_too_long, c);
        return c;
    }
    memcpy(c->target, path.at, path.len);
    memcpy(c->target + path.len, target.at, target.len);
    timer_start(l, &c->deadline, ask->timeout_ms, on_deadline, c);
    c->dial = outdial_start(d, &c->to, on_dialed, c);
    return c;
}

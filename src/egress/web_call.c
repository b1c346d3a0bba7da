/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way out and its answer back; see web.h. Each half stops its source while its
 * sink is slow, or the sandbox's pace is used up, so a stalled peer holds a bounded number of
 * bytes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "egress/web_internal.h"

enum {
    VALUE_MAX = 32 << 10, /* of a filled header: about what a head may have */
};

static uint64_t now_ms(const struct web *w)
{
    return loop_now_ms(w->outlet->egress->loop);
}

/* The sandbox -> the server. */

static void on_up_again(void *ctx)
{
    struct web *w = ctx;

    if (w->x != NULL)
        exchange_resume(w->x);
}

static size_t on_request_body(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct web *w = ctx;
    struct pace *pace = &w->outlet->up;

    ignore(x == w->x);
    if (data.len > 0) {
        if (w->conn == NULL || w->is_up_stopped || pace_waits(&w->pause_up))
            return 0;
        if (!pace_ready(pace, &w->pause_up, now_ms(w))) {
            pace_wait(pace, w->outlet->egress->loop, &w->pause_up, on_up_again, w);
            return 0;
        }
        pace_spend(pace, data.len);
        w->counts->up += data.len;
        w->is_up_stopped = !http_conn_write(w->conn, data);
    }
    if (is_last && !w->has_request_end) {
        w->has_request_end = true;
        if (w->conn != NULL)
            http_conn_end(w->conn);
    }
    return data.len;
}

static void on_up_drain(void *ctx)
{
    struct web *w = ctx;

    w->is_up_stopped = false;
    on_up_again(w);
}

/* The server -> the sandbox. */

static void on_down_again(void *ctx)
{
    struct web *w = ctx;

    if (w->conn != NULL)
        http_conn_resume(w->conn);
}

static void on_down_drain(void *ctx, struct exchange *x)
{
    struct web *w = ctx;

    ignore(x == w->x);
    w->is_down_stopped = false;
    on_down_again(w);
}

static void on_idle_close(void *ctx)
{
    struct web *w = ctx;

    http_conn_free(take_ptr(&w->conn));
}

static void finish(struct web *w)
{
    struct exchange *x = take_ptr(&w->x);

    pace_leave(&w->pause_up);
    pace_leave(&w->pause_down);
    exchange_on_gone(x, NULL, NULL);
    exchange_end(x);
    if (http_conn_is_idle(w->conn))
        http_conn_on_idle_close(w->conn, on_idle_close, w);
    else
        http_conn_free(take_ptr(&w->conn));
}

static size_t on_answer_body(void *ctx, struct str data, bool is_last)
{
    struct web *w = ctx;
    struct pace *pace = &w->outlet->down;

    if (data.len > 0) {
        if (w->is_down_stopped || pace_waits(&w->pause_down))
            return 0;
        if (!pace_ready(pace, &w->pause_down, now_ms(w))) {
            pace_wait(pace, w->outlet->egress->loop, &w->pause_down, on_down_again, w);
            return 0;
        }
        pace_spend(pace, data.len);
        w->counts->down += data.len;
        w->is_down_stopped = !exchange_write(w->x, data);
    }
    if (is_last)
        finish(w);
    return data.len;
}

static bool is_framing(struct str name)
{
    return str_ieq(name, STR("Content-Length")) || str_ieq(name, STR("Transfer-Encoding"));
}

static void on_tunnel_end(void *ctx)
{
    struct web *w = ctx;

    w->tunnel = NULL;
    web_end_soon(w);
}

/* A WebSocket: what follows is no HTTP any more. */
static void start_tunnel(struct web *w, const struct reply *r)
{
    struct exchange *x = take_ptr(&w->x);
    struct http_conn *conn = take_ptr(&w->conn);
    struct buf from_a, from_b;
    struct relay_spec spec = {.a = -1,
                              .b = -1,
                              .is_strict = true,
                              .pace_a = &w->outlet->up,
                              .pace_b = &w->outlet->down,
                              .bytes_a = &w->counts->up,
                              .bytes_b = &w->counts->down,
                              .on_end = on_tunnel_end,
                              .ctx = w};

    exchange_on_gone(x, NULL, NULL);
    http_server_on_close(w->server, NULL, NULL);
    exchange_start(x, r);
    buf_init(&from_a, 0);
    buf_init(&from_b, 0);
    if (w->is_tls) {
        spec.over_a = exchange_detach_over(x, &from_a);
        spec.over_b = http_conn_detach_over(conn, &from_b);
    } else {
        spec.a = exchange_detach(x, &from_a);
        spec.b = http_conn_detach(conn, &from_b);
    }
    spec.to_b = buf_str(&from_a);
    spec.to_a = buf_str(&from_b);
    if ((spec.a >= 0 || spec.over_a != NULL) && (spec.b >= 0 || spec.over_b != NULL)) {
        if (relay_start(w->outlet->egress->loop, &spec, &w->tunnel, NULL) != 0)
            web_end_soon(w);
    } else { /* one of them left just now */
        own_close_fd(&spec.a);
        own_close_fd(&spec.b);
        if (spec.over_a != NULL)
            spec.over_a->ops->close(spec.over_a);
        if (spec.over_b != NULL)
            spec.over_b->ops->close(spec.over_b);
        web_end_soon(w);
    }
    buf_done(&from_a);
    buf_done(&from_b);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct web *w = ctx;
    struct http_field fields[HTTP_FIELDS_MAX + 1];
    struct reply r = {.status = h->status, .fields = fields, .length = REPLY_CHUNKED};

    w->has_head = true;
    for (size_t i = 0; i < h->field_count; i++)
        if (!http_is_hop_field(h, h->fields[i].name) && !is_framing(h->fields[i].name))
            fields[r.field_count++] = h->fields[i];
    if (h->status == 101) { /* only when it was asked for */
        fields[r.field_count++] = (struct http_field){STR("Upgrade"), http_field(h, "Upgrade")};
        start_tunnel(w, &r);
        return;
    }
    if (h->framing == HTTP_LENGTH || http_field(h, "Content-Length").at != NULL)
        r.length = (int64_t)h->body_length; /* also of an answer to HEAD */
    exchange_on_drain(w->x, on_down_drain, w);
    exchange_start(w->x, &r);
}

static void reach_host(struct web *w);

static bool may_try_again(const struct web *w, bool is_fresh)
{
    return w->is_reused && is_fresh && !w->wants_body &&
           (str_is(exchange_head(w->x)->method, "GET") ||
            str_is(exchange_head(w->x)->method, "HEAD"));
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    struct web *w = ctx;
    struct exchange *x;

    http_conn_free(take_ptr(&w->conn));
    if (w->has_head) { /* the sandbox must see that something is missing */
        log_debug("egress.answer_cut", "id=%s name=\"%s\" error=\"%s\"", w->outlet->id, w->host,
                  err->text);
        x = take_ptr(&w->x);
        exchange_on_gone(x, NULL, NULL);
        exchange_abort(x);
    } else if (may_try_again(w, is_fresh)) {
        reach_host(w);
    } else {
        web_refuse(w, 502, "the server ended the connection without an answer");
    }
}

static const struct call_events events = {
    .on_head = on_head,
    .on_body = on_answer_body,
    .on_drain = on_up_drain,
    .on_fail = on_fail,
};

static void send_request(struct web *w)
{
    const struct http_head *h = exchange_head(w->x);
    struct call_request r = {
        .method = h->method,
        .target = h->target,
        .fields = w->fields,
        .field_count = w->field_count,
        .is_upgrade = h->is_upgrade,
        .upgrade = h->is_upgrade ? http_field(h, "Upgrade") : (struct str){0},
    };

    if (h->framing == HTTP_CHUNKED)
        r.length = REPLY_CHUNKED;
    else if (h->framing == HTTP_LENGTH)
        r.length = (int64_t)h->body_length;
    w->has_request_end = r.length == 0;
    http_conn_on_idle_close(w->conn, NULL, NULL);
    http_conn_call(w->conn, &r, &events, w);
    if (w->has_request_end || w->x == NULL) /* told already that it failed */
        return;
    w->wants_body = true; /* not before: a 100 Continue promises that somebody reads */
    exchange_on_body(w->x, on_request_body, w);
}

static void on_shaken(void *ctx, struct tls *t, const struct err *err)
{
    struct web *w = ctx;
    struct err why;

    w->shaking_out = NULL;
    if (err != NULL) {
        why = *err;
        tls_close(t);
        web_refuse(w, 502, why.text);
    } else if (http_conn_new_over(tls_transport(t), &w->conn, &why) != 0) {
        web_refuse(w, 503, "out of resources");
    } else {
        send_request(w);
    }
}

/* Takes fd. */
static void shake_out(struct web *w, int fd)
{
    struct egress *e = w->outlet->egress;
    struct tls_spec shake = {.fd = fd, .host = w->host, .fn = on_shaken, .ctx = w};
    struct err err;

    if (roots_context(e->roots, &shake.context, &err) != 0) {
        own_close_fd(&fd);
        web_refuse(w, 503, err.text);
    } else if (tls_open(e->loop, &shake, &w->shaking_out, &err) != 0) {
        web_refuse(w, 503, "out of resources");
    }
}

static void on_reached(void *ctx, int fd, int error, const struct place *place)
{
    struct web *w = ctx;
    struct err err;
    char why[WEB_TEXT_MAX / 2];

    ignore(place == NULL);
    w->reach = NULL;
    if (error == EACCES) {
        web_cut(w, "the name leads to where nothing may go");
    } else if (fd < 0) {
        ignore(snprintf(why, sizeof(why), "cannot connect: %s", strerror(error)));
        web_refuse(w, error == ETIMEDOUT ? 504 : 502, why);
    } else if (w->is_tls) {
        shake_out(w, fd);
    } else if (http_conn_new(w->outlet->egress->loop, fd, false, &w->conn, &err) != 0) {
        web_refuse(w, 503, "out of resources");
    } else {
        send_request(w);
    }
}

static void reach_host(struct web *w)
{
    const struct reach_spec spec = {w->to, w->host};

    w->is_reused = false;
    memcpy(w->conn_host, w->host, sizeof(w->conn_host));
    reach_start(w->outlet, &spec, on_reached, w, &w->reach);
}

static const struct codec_pair *set_by(const struct egress_rule *rule, struct str name)
{
    const struct codec_pair *rows = rule == NULL ? NULL : rule->headers.items;

    for (size_t i = 0; rule != NULL && i < rule->headers.count; i++)
        if (str_ieq(rows[i].key, name))
            return &rows[i];
    return NULL;
}

static struct str filled(struct web *w, struct str value, struct err *err)
{
    struct str kept = {0};
    struct buf out;

    buf_init(&out, VALUE_MAX);
    if (rules_fill(value, &vault_secrets(w->outlet->vault)->values, &out, err) == 0) {
        kept = arena_str(exchange_arena(w->x), buf_str(&out));
        if (kept.at == NULL)
            err_set(err, ERR_LIMIT, "the value of a header is too long");
    }
    if (out.at != NULL)
        explicit_bzero(out.at, out.len);
    buf_done(&out);
    return kept;
}

/* Those that came, but what is of one hop, and those of the rule in their place. */
static int put_fields(struct web *w, const struct egress_rule *rule, struct err *err)
{
    const struct http_head *h = exchange_head(w->x);
    const struct codec_pair *set = rule == NULL ? NULL : rule->headers.items;
    size_t more = rule == NULL ? 0 : rule->headers.count;
    struct http_field *to =
        arena_array(exchange_arena(w->x), h->field_count + more + 1, sizeof(*to));

    if (to == NULL)
        return err_set(err, ERR_LIMIT, "too many header fields");
    w->fields = to;
    w->field_count = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        struct str name = h->fields[i].name;

        if (http_is_hop_field(h, name) || is_framing(name) || str_ieq(name, STR("Expect")) ||
            set_by(rule, name) != NULL)
            continue;
        to[w->field_count++] = h->fields[i];
    }
    for (size_t i = 0; i < more; i++) {
        struct str value = filled(w, set[i].value, err);

        if (value.at == NULL)
            return -1;
        to[w->field_count++] = (struct http_field){set[i].key, value};
    }
    return 0;
}

void web_call(struct web *w, const struct egress_rule *rule)
{
    struct err err;

    w->has_head = w->wants_body = w->has_request_end = false;
    w->is_up_stopped = w->is_down_stopped = false;
    if (put_fields(w, rule, &err) != 0) {
        web_refuse(w, 502, err.text);
        return;
    }
    if (w->conn != NULL && str_is(str_of(w->conn_host), w->host) && http_conn_is_usable(w->conn)) {
        w->is_reused = true;
        send_request(w);
        return;
    }
    http_conn_free(take_ptr(&w->conn));
    reach_host(w);
}

void web_call_drop(struct web *w)
{
    reach_free(take_ptr(&w->reach));
    tls_close(take_ptr(&w->shaking_out));
    http_conn_free(take_ptr(&w->conn));
    pace_leave(&w->pause_up);
    pace_leave(&w->pause_down);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Unary and streaming plumbing of Connect-RPC (wire.md 3.2); routes.c calls rpc_begin(). */
#include "envd/rpc.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/digest.h"
#include "envd/agentcube.h"
#include "envd/answer.h"
#include "envd/guest.h"

enum {
    USER_NAME_MAX = 256, /* bytes of a user name in Authorization */
    TIMEOUT_DIGITS_MAX = 10,
};

/* A request that is not complete yet. Lives in the exchange's arena. */
struct rpc_pending {
    struct guest *guest;
    const struct rpc_method *method;
    enum connect_form form;
    struct buf gathered; /* streams: bytes of the first envelope */
    bool is_called;
};

static bool is_stream_form(enum connect_form form)
{
    return form == CONNECT_STREAM_JSON || form == CONNECT_STREAM_PROTO;
}

static bool is_json(enum connect_form form)
{
    return form != CONNECT_PROTO && form != CONNECT_STREAM_PROTO;
}

static void encode(enum connect_form form, const struct codec_message *m, const void *in,
                   struct buf *out)
{
    if (is_json(form))
        json_encode(m, in, out);
    else
        proto_encode(m, in, out);
}

void rpc_reply_buf(struct rpc_peer p, struct buf *body)
{
    if (!buf_ok(body)) {
        buf_done(body);
        rpc_fail(p, CONNECT_RESOURCE_EXHAUSTED, "the answer is too large or memory is out");
        return;
    }
    answer_buf(p.x, 200, connect_form_type(p.form), body);
}

void rpc_reply(struct rpc_peer p, const struct codec_message *m, const void *out)
{
    struct buf body;

    if (p.form == CONNECT_REST && m == &empty_message) {
        answer_empty(p.x, 204);
        return;
    }
    buf_init(&body, ANSWER_BODY_MAX);
    encode(p.form, m, out, &body);
    rpc_reply_buf(p, &body);
}

void rpc_fail(struct rpc_peer p, enum connect_code code, const char *format, ...)
{
    char text[512];
    struct buf body;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (is_stream_form(p.form)) {
        rpc_stream_open(p);
        rpc_stream_end(p, code, text);
        return;
    }
    if (p.form > CONNECT_OTHER) {
        answer_error(p.x, connect_code_status(code), "%s", text);
        return;
    }
    buf_init(&body, 8192);
    connect_error_body(&body, code, str_of(text));
    answer_body(p.x, connect_code_status(code), "application/json", buf_str(&body));
    buf_done(&body);
}

void rpc_fail_err(struct rpc_peer p, const struct err *err)
{
    enum connect_code code = connect_code_of(err->kind);

    if (p.form > CONNECT_OTHER) {
        answer_failure(p.x, err); /* knows more statuses, as that of a full disk */
        return;
    }
    if (err->kind == ERR_SYSTEM)
        code = CONNECT_INTERNAL;
    rpc_fail(p, code, "%s", err->text);
}

void rpc_stream_open_with(struct rpc_peer p, const struct http_field *fields, size_t count)
{
    struct answer a;

    answer_init(&a, p.x);
    answer_field(&a, "Content-Type", str_of(connect_form_type(p.form)));
    for (size_t i = 0; i < count; i++)
        answer_field(&a, fields[i].name.at, fields[i].value);
    answer_start(p.x, 200, &a, REPLY_CHUNKED);
}

void rpc_stream_open(struct rpc_peer p)
{
    rpc_stream_open_with(p, NULL, 0);
}

void rpc_envelope(enum connect_form form, const struct codec_message *m, const void *in,
                  struct buf *out)
{
    uint8_t head[ENVELOPE_HEAD] = {0};
    size_t start = out->len;

    if (form > CONNECT_OTHER) {
        agentcube_put_event(form, ((const struct event_response *)in)->event, out);
        return;
    }
    buf_add(out, head, sizeof(head));
    encode(form, m, in, out);
    if (!buf_ok(out))
        return;
    envelope_head(0, (uint32_t)(out->len - start - ENVELOPE_HEAD), head);
    memcpy(out->at + start, head, sizeof(head));
}

void rpc_stream_end(struct rpc_peer p, enum connect_code code, const char *text)
{
    struct buf end;

    buf_init(&end, 8192);
    envelope_end(&end, code, str_of(text));
    exchange_write(p.x, buf_str(&end));
    exchange_end(p.x);
    buf_done(&end);
}

/* The user name of "Basic <base64(user:password)>" into `out`. False when it cannot be read. */
static bool basic_user(struct str value, char out[USER_NAME_MAX])
{
    uint8_t plain[USER_NAME_MAX * 2];
    struct str scheme, rest;
    ssize_t len;

    scheme = str_cut(value, ' ', &rest);
    rest = str_trim(rest);
    if (!str_ieq(scheme, STR("Basic")) || base64_decoded_max(rest.len) > sizeof(plain))
        return false;
    len = base64_decode(rest, plain);
    if (len < 0)
        return false;
    return str_to_c(str_cut((struct str){(const char *)plain, (size_t)len}, ':', &rest), out,
                    USER_NAME_MAX);
}

int rpc_user(struct rpc_call *call, struct user *out)
{
    struct str value = http_field(exchange_head(call->peer.x), "Authorization");
    char name[USER_NAME_MAX] = "";
    struct err err;

    if (str_ieq(str_upto(value, 5), STR("Basic")) && !basic_user(value, name)) {
        rpc_fail(call->peer, CONNECT_UNAUTHENTICATED, "invalid Authorization header");
        return -1;
    }
    if (guest_user(call->guest, str_of(name), &call->arena, out, &err) == 0)
        return 0;
    rpc_fail_err(call->peer, &err);
    return -1;
}

/* A number of at most ten digits in a field; `fallback` when it is absent or not that. */
static uint64_t field_number(const struct http_head *h, const char *name, uint64_t fallback)
{
    struct str value = http_field(h, name);
    uint64_t number;

    if (value.at == NULL || value.len > TIMEOUT_DIGITS_MAX || !str_to_u64(value, &number))
        return fallback;
    return number;
}

uint64_t rpc_timeout_ms(const struct exchange *x)
{
    return field_number(exchange_head(x), "Connect-Timeout-Ms", 0);
}

int rpc_decode(enum connect_form form, const struct codec_message *m, struct str message,
               struct arena *a, void *out, struct err *err)
{
    return is_json(form) ? json_decode(m, message, a, out, err)
                         : proto_decode(m, message, a, out, err);
}

static void run(const struct rpc_pending *pending, struct exchange *x, struct str message)
{
    const struct http_head *h = exchange_head(x);
    struct rpc_call call = {
        .guest = pending->guest,
        .peer = {x, pending->form},
        .method = pending->method,
        .timeout_ms = rpc_timeout_ms(x),
    };
    uint64_t keepalive_s = field_number(h, "Keepalive-Ping-Interval", RPC_KEEPALIVE_S);
    struct err err;
    void *in;
    int rc;

    if (keepalive_s == 0 || keepalive_s > RPC_KEEPALIVE_MAX_S)
        keepalive_s = RPC_KEEPALIVE_S;
    call.keepalive_ms = keepalive_s * 1000;
    if (call.method->fn == NULL) {
        rpc_fail(call.peer, CONNECT_UNIMPLEMENTED, "method is not implemented");
        return;
    }
    arena_init(&call.arena, RPC_ARENA_MAX);
    in = arena_alloc(&call.arena, call.method->request->size);
    if (in == NULL)
        rc = err_set(&err, ERR_LIMIT, "out of memory");
    else
        rc = rpc_decode(pending->form, call.method->request, message, &call.arena, in, &err);
    call.in = in;
    if (rc != 0)
        rpc_fail_err(call.peer, &err);
    else
        call.method->fn(&call);
    arena_done(&call.arena);
}

static void unary_ready(void *ctx, struct exchange *x)
{
    run(ctx, x, exchange_body(x));
}

static void too_large(void *ctx, struct exchange *x)
{
    const struct rpc_pending *pending = ctx;

    rpc_fail((struct rpc_peer){x, pending->form}, CONNECT_RESOURCE_EXHAUSTED,
             "request is larger than %d bytes", RPC_BODY_MAX);
}

static void drop_gathered(void *ctx, struct exchange *x)
{
    struct rpc_pending *pending = ctx;

    (void)x;
    buf_done(&pending->gathered);
}

/* True: the first envelope is complete, or never will be, and the call was made or refused. From
 * then on neither `x` nor `pending` may be looked at. */
static bool stream_ready(struct rpc_pending *pending, struct exchange *x, struct str data,
                         bool is_last)
{
    struct rpc_peer peer = {x, pending->form};
    struct buf gathered = pending->gathered;
    struct str message;
    uint8_t flags;
    ssize_t used = envelope_parse(data, RPC_BODY_MAX, &flags, &message);

    if (used == 0 && !is_last)
        return false;
    pending->is_called = true;
    buf_init(&pending->gathered, 0);
    exchange_on_gone(x, NULL, NULL);
    if (used < 0)
        rpc_fail(peer, CONNECT_RESOURCE_EXHAUSTED, "message is compressed or larger than %d bytes",
                 RPC_BODY_MAX);
    else if (used == 0 || (flags & ENVELOPE_END) != 0)
        rpc_fail(peer, CONNECT_INVALID_ARGUMENT, "the request has no complete message");
    else
        run(pending, x, message);
    buf_done(&gathered);
    return true;
}

/* Waits for one envelope, not for the end of the body. What follows it is ignored. */
static size_t stream_body(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct rpc_pending *pending = ctx;
    size_t len = data.len; /* `data` may be gone after the call */

    if (pending->is_called)
        return len;
    if (pending->gathered.len == 0 && stream_ready(pending, x, data, is_last))
        return len; /* the usual case: nothing is copied */
    buf_add_str(&pending->gathered, data);
    if (buf_ok(&pending->gathered)) {
        ignore(stream_ready(pending, x, buf_str(&pending->gathered), is_last)); /* else: more */
        return len;
    }
    pending->is_called = true;
    buf_done(&pending->gathered);
    exchange_on_gone(x, NULL, NULL);
    rpc_fail((struct rpc_peer){x, pending->form}, CONNECT_RESOURCE_EXHAUSTED,
             "message is larger than %d bytes", RPC_BODY_MAX);
    return len;
}

static bool form_of(struct exchange *x, bool is_stream, enum connect_form *out)
{
    *out = connect_form_of(http_field(exchange_head(x), "Content-Type"));
    if (*out != CONNECT_OTHER && is_stream_form(*out) == is_stream)
        return true;
    answer_error(x, 415, "content type of this method is %s",
                 is_stream ? "application/connect+json or application/connect+proto"
                           : "application/json or application/proto");
    return false;
}

bool rpc_stream_form(struct exchange *x, enum connect_form *out)
{
    return form_of(x, true, out);
}

void rpc_begin(struct guest *g, struct exchange *x, const struct rpc_method *m)
{
    struct str coding = http_field(exchange_head(x), "Content-Encoding");
    struct rpc_pending *pending;
    enum connect_form form;

    if (!form_of(x, m->is_stream, &form))
        return;
    if (!m->is_stream && coding.len > 0 && !str_ieq(coding, STR("identity"))) {
        rpc_fail((struct rpc_peer){x, form}, CONNECT_UNIMPLEMENTED,
                 "content encoding '%.*s' is not supported", STR_ARG(str_upto(coding, 40)));
        return;
    }
    pending = arena_alloc(exchange_arena(x), sizeof(*pending));
    if (pending == NULL) {
        answer_error(x, 429, "out of memory");
        return;
    }
    *pending = (struct rpc_pending){.guest = g, .method = m, .form = form};
    if (!m->is_stream) {
        exchange_collect(x, RPC_BODY_MAX, unary_ready, too_large, pending);
        return;
    }
    buf_init(&pending->gathered, RPC_BODY_MAX + ENVELOPE_HEAD);
    exchange_on_gone(x, drop_gathered, pending);
    exchange_on_body(x, stream_body, pending);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes answers for gate.c, rpc.c and the plain handlers. */
#include "envd/answer.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"
#include "codec/codec.h"

/* A body that did not fit into one write. */
struct long_body {
    struct buf body;
};

static bool is_browser(const struct exchange *x)
{
    return http_field(exchange_head(x), "Origin").at != NULL;
}

bool answer_is_legacy(const struct exchange *x)
{
    return str_is(http_field(exchange_head(x), "User-Agent"), "connect-python");
}

void answer_init(struct answer *a, const struct exchange *x)
{
    a->count = 0;
    if (answer_is_legacy(x))
        answer_field(a, "X-E2B-Legacy-SDK", STR("true"));
    if (!is_browser(x))
        return;
    answer_field(a, "Access-Control-Allow-Origin", STR("*"));
    answer_field(a, "Access-Control-Allow-Methods", STR("GET, POST, PUT, PATCH, DELETE, OPTIONS"));
    answer_field(a, "Access-Control-Allow-Headers", STR("*, Authorization"));
    answer_field(a, "Access-Control-Expose-Headers", STR("*"));
    answer_field(a, "Access-Control-Max-Age", STR("7200"));
}

void answer_field(struct answer *a, const char *name, struct str value)
{
    if (a->count < ANSWER_FIELDS_MAX)
        a->fields[a->count++] = (struct http_field){str_of(name), value};
}

void answer_start(struct exchange *x, unsigned status, const struct answer *a, int64_t length)
{
    struct reply r = {
        .status = status, .fields = a->fields, .field_count = a->count, .length = length};

    exchange_start(x, &r);
}

void answer_body(struct exchange *x, unsigned status, const char *type, struct str body)
{
    struct answer a;

    if (!is_browser(x) && !answer_is_legacy(x)) {
        exchange_reply(x, status, type, body);
        return;
    }
    answer_init(&a, x);
    if (type != NULL)
        answer_field(&a, "Content-Type", str_of(type));
    answer_start(x, status, &a, (int64_t)body.len);
    exchange_write(x, body);
    exchange_end(x);
}

void answer_empty(struct exchange *x, unsigned status)
{
    answer_body(x, status, NULL, (struct str){NULL, 0});
}

void answer_error(struct exchange *x, unsigned status, const char *format, ...)
{
    char text[512];
    struct buf body;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    buf_init(&body, 8192);
    buf_printf(&body, "{\"code\":%u,\"message\":", status);
    json_quote(&body, str_of(text));
    buf_add_byte(&body, '}');
    answer_body(x, status, "application/json", buf_ok(&body) ? buf_str(&body) : STR("{}"));
    buf_done(&body);
}

static unsigned status_of(enum err_kind kind)
{
    static const struct {
        enum err_kind kind;
        unsigned status;
    } rows[] = {
        {ERR_INVALID,         400},
        {ERR_UNAUTHENTICATED, 401},
        {ERR_DENIED,          403},
        {ERR_NOT_FOUND,       404},
        {ERR_EXISTS,          409},
        {ERR_CONFLICT,        409},
        {ERR_LIMIT,           429},
        {ERR_UNSUPPORTED,     501},
        {ERR_NO_SPACE,        507},
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (rows[i].kind == kind)
            return rows[i].status;
    }
    return 500;
}

void answer_failure(struct exchange *x, const struct err *err)
{
    answer_error(x, status_of(err->kind), "%s", err->text);
}

static void long_body_free(void *ctx, struct exchange *x)
{
    struct long_body *b = ctx;

    (void)x;
    buf_done(&b->body);
    free(b);
}

static void long_body_send(void *ctx, struct exchange *x)
{
    struct long_body *b = ctx;
    bool may_write = true;

    while (may_write && b->body.len > 0) {
        struct str piece = str_upto(buf_str(&b->body), ANSWER_PIECE);

        may_write = exchange_write(x, piece);
        buf_consume(&b->body, piece.len);
    }
    if (b->body.len > 0)
        return;
    exchange_on_gone(x, NULL, NULL);
    exchange_end(x);
    long_body_free(b, NULL);
}

void answer_buf(struct exchange *x, unsigned status, const char *type, struct buf *body)
{
    struct long_body *b;
    struct answer a;

    if (!buf_ok(body)) {
        buf_done(body);
        answer_error(x, 500, "out of memory");
        return;
    }
    if (body->len <= ANSWER_PIECE) {
        answer_body(x, status, type, buf_str(body));
        buf_done(body);
        return;
    }
    b = calloc(1, sizeof(*b));
    if (b == NULL) {
        buf_done(body);
        answer_error(x, 500, "out of memory");
        return;
    }
    b->body = *body;
    buf_init(body, body->max);
    answer_init(&a, x);
    answer_field(&a, "Content-Type", str_of(type));
    answer_start(x, status, &a, (int64_t)b->body.len);
    exchange_on_gone(x, long_body_free, b);
    exchange_on_drain(x, long_body_send, b);
    long_body_send(b, x);
}

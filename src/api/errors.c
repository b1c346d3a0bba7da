/* SPDX-License-Identifier: Apache-2.0 */
/* The one place where kinds of errors become statuses. Used by the gate and every handler. */
#include "api/errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/call.h"

enum {
    MESSAGE_MAX = 1024,
};

static const unsigned statuses[] = {
    [ERR_NONE] = 500,        [ERR_INVALID] = 400,   [ERR_UNAUTHENTICATED] = 401,
    [ERR_DENIED] = 403,      [ERR_NOT_FOUND] = 404, [ERR_EXISTS] = 409,
    [ERR_CONFLICT] = 409,    [ERR_LIMIT] = 429,     [ERR_NO_SPACE] = 507,
    [ERR_UNSUPPORTED] = 501, [ERR_TIMEOUT] = 504,   [ERR_UNAVAILABLE] = 503,
    [ERR_SYSTEM] = 500,
};

/* clang-format off */
static const struct {
    enum err_kind kind;
    unsigned status;
    const char *error_code;
    const char *text; /* NULL: what node said */
} placements[] = {
    {ERR_TIMEOUT, 504, "sandbox_placement_timeout", "placement timed out, please retry"},
    {ERR_UNAVAILABLE, 503, "sandbox_capacity_unavailable",
     "not enough capacity for the requested resources right now, please retry shortly"},
    {ERR_LIMIT, 503, "sandbox_capacity_unavailable",
     "not enough capacity for the requested resources right now, please retry shortly"},
    {ERR_UNSUPPORTED, 503, "sandbox_no_compatible_node",
     "no compatible node for this template's requirements"},
    {ERR_NO_SPACE, 507, "sandbox_create_failed", NULL},
};
/* clang-format on */

unsigned error_status(enum err_kind kind)
{
    return (size_t)kind < COUNT_OF(statuses) ? statuses[kind] : 500;
}

/* Further members of an error's body; NULL: left out. */
struct words {
    const char *error_code;
    const char *error; /* AgentCube's name of it (RX-12) */
};

static void send_error(struct call *c, unsigned status, struct words words, struct str message)
{
    static const struct http_field retry = {
        {"Retry-After", 11},
        {"1",           1 }
    };
    bool may_retry = status == 429 || status == 503;
    struct buf body;

    buf_init(&body, 8 * MESSAGE_MAX);
    buf_printf(&body, "{\"code\":%u,\"message\":", status);
    json_quote(&body, message);
    if (words.error_code != NULL)
        buf_printf(&body, ",\"error_code\":\"%s\"", words.error_code);
    if (words.error != NULL)
        buf_printf(&body, ",\"error\":\"%s\"", words.error);
    buf_add_byte(&body, '}');
    call_reply_fields(c, status, buf_str(&body), &retry, may_retry);
    buf_done(&body);
}

void call_error(struct call *c, unsigned status, const char *error_code, const char *format, ...)
{
    struct buf message;
    va_list args;

    buf_init(&message, MESSAGE_MAX);
    va_start(args, format);
    buf_vprintf(&message, format, args);
    va_end(args);
    send_error(c, status, (struct words){.error_code = error_code}, buf_str(&message));
    buf_done(&message);
}

void call_fail(struct call *c, const struct err *err)
{
    send_error(c, error_status(err->kind), (struct words){0}, str_of(err->text));
}

void call_fail_named(struct call *c, unsigned status, const char *error, const struct err *err)
{
    send_error(c, status != 0 ? status : error_status(err->kind), (struct words){.error = error},
               str_of(err->text));
}

void call_fail_placement(struct call *c, const struct err *err)
{
    for (size_t i = 0; i < COUNT_OF(placements); i++)
        if (placements[i].kind == err->kind) {
            call_error(c, placements[i].status, placements[i].error_code,
                       "Failed to place sandbox: %s",
                       placements[i].text != NULL ? placements[i].text : err->text);
            return;
        }
    call_error(c, 500, "sandbox_create_failed", "Failed to place sandbox: %s", err->text);
}

void call_too_fast(struct call *c, uint64_t rate_per_s, unsigned wait_s)
{
    static const char body[] = "{\"code\":429,\"message\":\"Rate limit exceeded\"}";
    char limit[24], wait[12];
    struct http_field fields[] = {
        {STR("Retry-After"),         {0}     },
        {STR("RateLimit-Limit"),     {0}     },
        {STR("RateLimit-Remaining"), STR("0")},
        {STR("RateLimit-Reset"),     {0}     },
    };

    snprintf(limit, sizeof(limit), "%llu", (unsigned long long)rate_per_s);
    snprintf(wait, sizeof(wait), "%u", wait_s);
    fields[0].value = fields[3].value = str_of(wait);
    fields[1].value = str_of(limit);
    call_reply_fields(c, 429, str_of(body), fields, COUNT_OF(fields));
}

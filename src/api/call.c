/* SPDX-License-Identifier: Apache-2.0 */
/* A call's input and answer. Used by the gate and every handler. */
#include "api/call.h"

#include <stdio.h>

#include "api/errors.h"
#include "base/clock.h"

static const char json_type[] = "application/json";

/* What edge calls it; of who comes without edge, the name given or one of ours. */
static void name_request(struct call *c)
{
    struct str given = http_request_id(exchange_head(c->x));

    if (given.len > 0)
        ignore(str_to_c(given, c->request_id, sizeof(c->request_id)));
    else
        ignore(snprintf(c->request_id, sizeof(c->request_id), "%llx-%llu",
                        (unsigned long long)c->began_us,
                        (unsigned long long)++c->api->request_count));
}

struct call *call_new(struct api *a, struct exchange *x)
{
    struct call *c = mem_zero(sizeof(*c));

    c->api = a;
    c->x = x;
    c->began_us = clock_mono_us();
    if (a->config.logs_requests)
        name_request(c);
    list_push(&a->calls, &c->node);
    a->call_count++;
    return c;
}

void call_free(struct call *c)
{
    list_remove(&c->node);
    c->api->call_count--;
    free(c);
}

struct str call_param(const struct call *c, size_t at)
{
    return at < c->match.param_count ? c->match.params[at] : (struct str){0};
}

struct str call_query(const struct call *c, const char *name)
{
    struct str raw = url_query(exchange_head(c->x)->query, name), copy;
    ssize_t len;

    if (raw.at == NULL)
        return raw;
    copy = arena_str(exchange_arena(c->x), raw);
    if (copy.at == NULL)
        return (struct str){0};
    len = url_decode(copy, true, (char *)(uintptr_t)copy.at);
    return len < 0 ? (struct str){0} : (struct str){copy.at, (size_t)len};
}

int call_sandbox_id(struct call *c, struct str *out)
{
    struct str client, id = str_cut(call_param(c, 0), '-', &client);
    bool is_good = id.len > 0 && str_find(client, '-') < 0;

    for (size_t i = 0; i < id.len; i++)
        is_good = is_good &&
                  ((id.at[i] >= 'a' && id.at[i] <= 'z') || (id.at[i] >= '0' && id.at[i] <= '9'));
    if (!is_good) {
        call_error(c, 400, NULL, "Invalid sandbox ID");
        return -1;
    }
    *out = id;
    return 0;
}

int call_body(struct call *c, const struct codec_message *m, bool may_be_empty, void *out)
{
    struct str body = exchange_body(c->x);
    struct err err = {0};

    if (body.len == 0 && may_be_empty)
        body = STR("{}");
    if (json_decode(m, body, exchange_arena(c->x), out, &err) == 0)
        return 0;
    call_error(c, 400, NULL, "Error when parsing request: %s", err.text);
    return -1;
}

/* Browsers may call from any origin: the key is what counts. */
static size_t put_cors(const struct call *c, struct http_field *fields)
{
    if (http_field(exchange_head(c->x), "origin").at == NULL)
        return 0;
    fields[0] = (struct http_field){STR("Access-Control-Allow-Origin"), STR("*")};
    fields[1] =
        (struct http_field){STR("Access-Control-Expose-Headers"),
                            STR("X-Next-Token, X-Next-Cursor, X-Request-Id, X-Total-Running, "
                                "Retry-After, RateLimit-Limit, RateLimit-Remaining, "
                                "RateLimit-Reset")};
    return 2;
}

void call_reply_fields(struct call *c, unsigned status, struct str json,
                       const struct http_field *fields, size_t count)
{
    struct http_field all[CALL_FIELDS_MAX + 4];
    struct reply reply = {.status = status, .fields = all, .length = (int64_t)json.len};
    bool has_type = false;
    size_t n = 0;

    stats_answer(c, c->x == NULL ? 0 : status);
    if (c->x == NULL) {
        call_free(c);
        return;
    }
    if (count == 0 && c->request_id[0] == '\0' &&
        http_field(exchange_head(c->x), "origin").at == NULL) {
        exchange_reply(c->x, status, json.len > 0 ? json_type : NULL, json);
        call_free(c);
        return;
    }
    for (size_t i = 0; i < count && i < CALL_FIELDS_MAX; i++) {
        has_type |= str_is(fields[i].name, "Content-Type");
        all[n++] = fields[i];
    }
    if (json.len > 0 && !has_type)
        all[n++] = (struct http_field){STR("Content-Type"), str_of(json_type)};
    if (c->request_id[0] != '\0')
        all[n++] = (struct http_field){STR("X-Request-Id"), str_of(c->request_id)};
    n += put_cors(c, all + n);
    reply.field_count = n;
    exchange_start(c->x, &reply);
    if (json.len > 0)
        ignore(exchange_write(c->x, json)); /* all there is: nothing to hold back */
    exchange_end(c->x);
    call_free(c);
}

void call_reply_text(struct call *c, unsigned status, struct str json)
{
    call_reply_fields(c, status, json, NULL, 0);
}

void call_reply_empty(struct call *c, unsigned status)
{
    call_reply_fields(c, status, (struct str){0}, NULL, 0);
}

void call_reply(struct call *c, unsigned status, const struct codec_message *m, const void *body)
{
    struct buf json;

    buf_init(&json, REPLY_MAX);
    json_encode(m, body, &json);
    if (buf_ok(&json))
        call_reply_text(c, status, buf_str(&json));
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(&json);
}

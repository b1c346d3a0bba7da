/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets over REST (wire.md 2.4): make, list, look at, change, remove. Called by the gate. No
 * answer has a value in it. */
#include "api/call.h"
#include "api/errors.h"
#include "base/clock.h"
#include "domain/secret.h"

enum {
    PAGE_MAX = 100,
};

struct secret_body {
    struct str name, value;
    struct codec_list metadata;
    bool has_name, has_value, has_metadata;
};

struct secret_reply {
    struct str id, name, created_at, updated_at;
    int64_t version;
    struct codec_list metadata;
};

/* clang-format off */
static const struct codec_field body_fields[] = {
    {1, "name", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct secret_body, name), offsetof(struct secret_body, has_name)},
    {2, "value", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct secret_body, value), offsetof(struct secret_body, has_value)},
    {3, "metadata", CODEC_MAP, CODEC_OPTIONAL, offsetof(struct secret_body, metadata), offsetof(struct secret_body, has_metadata)},
};
static const struct codec_message body_message =
    {"secret", sizeof(struct secret_body), body_fields, COUNT_OF(body_fields)};

static const struct codec_field reply_fields[] = {
    {1, "secretID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct secret_reply, id)},
    {2, "name", CODEC_STRING, CODEC_ALWAYS, offsetof(struct secret_reply, name)},
    {3, "currentVersion", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct secret_reply, version)},
    {4, "metadata", CODEC_MAP, CODEC_ALWAYS, offsetof(struct secret_reply, metadata)},
    {5, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct secret_reply, created_at)},
    {6, "updatedAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct secret_reply, updated_at)},
};
static const struct codec_message reply_message =
    {"secret_reply", sizeof(struct secret_reply), reply_fields, COUNT_OF(reply_fields)};
/* clang-format on */

static void put(const struct secret *s, struct buf *out)
{
    char created[RFC3339_MAX], updated[RFC3339_MAX];
    struct secret_reply reply = {
        .id = s->r.id, .name = s->r.name, .version = s->r.version, .metadata = s->r.metadata};

    rfc3339_format_ms(s->r.created_at_ms, created);
    rfc3339_format_ms(s->r.updated_at_ms, updated);
    reply.created_at = str_of(created);
    reply.updated_at = str_of(updated);
    json_encode(&reply_message, &reply, out);
}

static void answer_one(struct call *c, unsigned status, const struct secret *s)
{
    struct buf out;

    buf_init(&out, REPLY_MAX);
    put(s, &out);
    call_reply_text(c, status, buf_str(&out));
    buf_done(&out);
}

static void on_created(void *ctx, const struct secret *s, const struct err *err)
{
    if (err != NULL)
        call_fail(ctx, err);
    else
        answer_one(ctx, 201, s);
}

static void on_changed(void *ctx, const struct secret *s, const struct err *err)
{
    if (err != NULL)
        call_fail(ctx, err);
    else if (s == NULL)
        call_error(ctx, 404, NULL, "Secret was removed meanwhile");
    else
        answer_one(ctx, 200, s);
}

static void on_removed(void *ctx, const struct secret *s, const struct err *err)
{
    ignore(s == NULL);
    if (err != NULL)
        call_fail(ctx, err);
    else
        call_reply_empty(ctx, 204);
}

/* -1: answered already. An empty object of metadata clears it, an absent one does not. */
static int read_body(struct call *c, bool needs_name, struct secret_params *out)
{
    struct secret_body body = {0};

    if (call_body(c, &body_message, false, &body) != 0)
        return -1;
    if ((needs_name && !body.has_name) || !body.has_value) {
        call_error(c, 400, NULL, "Error when parsing request: %s: required",
                   needs_name && !body.has_name ? "name" : "value");
        return -1;
    }
    *out = (struct secret_params){body.name, body.value, body.metadata, body.has_metadata};
    return 0;
}

void secret_post(struct call *c)
{
    struct secret_params p;
    struct err err = {0};

    if (read_body(c, true, &p) == 0 &&
        secret_create(c->api->domain, c->team, &p, on_created, c, &err) != 0)
        call_fail(c, &err);
}

void secret_update_post(struct call *c)
{
    struct secret_params p;
    struct err err = {0};

    if (read_body(c, false, &p) == 0 &&
        secret_change(c->api->domain, c->team, call_param(c, 0), &p, on_changed, c, &err) != 0)
        call_fail(c, &err);
}

void secret_delete(struct call *c)
{
    struct err err = {0};

    if (secret_remove(c->api->domain, c->team, call_param(c, 0), on_removed, c, &err) != 0)
        call_fail(c, &err);
}

void secret_get(struct call *c)
{
    struct str which = call_param(c, 0);
    const struct secret *s = secret_find(c->api->domain, c->team, which);

    if (s == NULL)
        call_error(c, 404, NULL, "Secret '%.*s' not found",
                   STR_ARG(str_upto(which, SECRET_NAME_MAX)));
    else
        answer_one(c, 200, s);
}

static void answer_page(struct call *c, const struct secret **list, size_t count, bool has_more)
{
    struct http_field next = {STR("X-Next-Token"), {0}};
    struct buf out;

    buf_init(&out, REPLY_MAX);
    buf_add_byte(&out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_byte(&out, ',');
        put(list[i], &out);
    }
    buf_add_byte(&out, ']');
    if (has_more)
        next.value = list[count - 1]->r.id;
    call_reply_fields(c, 200, buf_str(&out), &next, has_more);
    buf_done(&out);
}

/* The token of the next page is the id of the last secret of this one. */
void secret_list_get(struct call *c)
{
    struct str limit = call_query(c, "limit"), after = call_query(c, "nextToken");
    const struct secret **list;
    uint64_t most = PAGE_MAX;
    size_t count;

    if (limit.len > 0 && (!str_to_u64(limit, &most) || most < 1 || most > PAGE_MAX)) {
        call_error(c, 400, NULL, "validation error: limit must be between 1 and %d", PAGE_MAX);
        return;
    }
    if (after.len > 0 && secret_find(c->api->domain, c->team, after) == NULL) {
        call_error(c, 400, NULL, "Invalid next token");
        return;
    }
    list = secret_list(c->api->domain, c->team, after, exchange_arena(c->x), &count);
    if (list == NULL)
        call_error(c, 500, "internal_server_error", "answer too large");
    else
        answer_page(c, list, count < most ? count : (size_t)most, count > most);
}

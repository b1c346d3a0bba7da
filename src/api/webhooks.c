/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks over REST: make, list, change, remove, dead letters, redelivery. Called by the gate. The
 * secret is told once, in the answer that makes it. */
#include <stdio.h>

#include "api/call.h"
#include "api/errors.h"
#include "base/clock.h"
#include "domain/webhook.h"

struct webhook_body {
    struct str name, url, secret;
    struct codec_list events; /* of struct str */
    bool enabled;
    bool has_name, has_url, has_enabled;
};

struct redeliver_body {
    struct str event;
};

struct webhook_reply {
    struct str id, team_id, name, url, secret, created_at;
    struct codec_list events;
    bool enabled;
    int64_t pending, dead, delivered, failed, lost;
};

struct dead_reply {
    struct str event_id, type, subject, error, created_at, died_at;
    int32_t status, tries;
    struct str event; /* raw JSON */
};

/* clang-format off */
static const struct codec_field body_fields[] = {
    {1, "url", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct webhook_body, url), offsetof(struct webhook_body, has_url)},
    {2, "name", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct webhook_body, name), offsetof(struct webhook_body, has_name)},
    {3, "secret", CODEC_STRING, 0, offsetof(struct webhook_body, secret)},
    {4, "events", CODEC_STRING, CODEC_REPEATED, offsetof(struct webhook_body, events)},
    {5, "enabled", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct webhook_body, enabled), offsetof(struct webhook_body, has_enabled)},
};
static const struct codec_message body_message =
    {"webhook", sizeof(struct webhook_body), body_fields, COUNT_OF(body_fields)};

static const struct codec_field redeliver_fields[] = {
    {1, "event", CODEC_STRING, 0, offsetof(struct redeliver_body, event)},
};
static const struct codec_message redeliver_message =
    {"redeliver", sizeof(struct redeliver_body), redeliver_fields, COUNT_OF(redeliver_fields)};

static const struct codec_field reply_fields[] = {
    {1, "id", CODEC_STRING, CODEC_ALWAYS, offsetof(struct webhook_reply, id)},
    {2, "teamID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct webhook_reply, team_id)},
    {3, "name", CODEC_STRING, CODEC_ALWAYS, offsetof(struct webhook_reply, name)},
    {4, "url", CODEC_STRING, CODEC_ALWAYS, offsetof(struct webhook_reply, url)},
    {5, "events", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED, offsetof(struct webhook_reply, events)},
    {6, "enabled", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct webhook_reply, enabled)},
    {7, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct webhook_reply, created_at)},
    {8, "secret", CODEC_STRING, 0, offsetof(struct webhook_reply, secret)},
    {9, "pending", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct webhook_reply, pending)},
    {10, "dead", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct webhook_reply, dead)},
    {11, "delivered", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct webhook_reply, delivered)},
    {12, "failedTries", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct webhook_reply, failed)},
    {13, "lost", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct webhook_reply, lost)},
};
static const struct codec_message reply_message =
    {"webhook_reply", sizeof(struct webhook_reply), reply_fields, COUNT_OF(reply_fields)};

static const struct codec_field dead_fields[] = {
    {1, "eventID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct dead_reply, event_id)},
    {2, "type", CODEC_STRING, CODEC_ALWAYS, offsetof(struct dead_reply, type)},
    {3, "subject", CODEC_STRING, CODEC_ALWAYS, offsetof(struct dead_reply, subject)},
    {4, "tries", CODEC_INT32, CODEC_ALWAYS, offsetof(struct dead_reply, tries)},
    {5, "status", CODEC_INT32, CODEC_ALWAYS, offsetof(struct dead_reply, status)},
    {6, "error", CODEC_STRING, CODEC_ALWAYS, offsetof(struct dead_reply, error)},
    {7, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct dead_reply, created_at)},
    {8, "diedAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct dead_reply, died_at)},
    {9, "event", CODEC_RAW, CODEC_ALWAYS, offsetof(struct dead_reply, event)},
};
static const struct codec_message dead_message =
    {"dead_reply", sizeof(struct dead_reply), dead_fields, COUNT_OF(dead_fields)};
/* clang-format on */

static void put(const struct webhook *w, bool with_secret, struct buf *out)
{
    char created[RFC3339_MAX];
    struct webhook_reply reply = {
        .id = w->r.id,
        .team_id = w->r.team_id,
        .name = w->r.name,
        .url = w->r.url,
        .secret = with_secret ? w->r.secret : (struct str){0},
        .events = w->r.types,
        .enabled = !w->r.is_disabled,
        .pending = (int64_t)w->pending_count,
        .dead = (int64_t)w->dead_count,
        .delivered = (int64_t)w->delivered,
        .failed = (int64_t)w->failed,
        .lost = (int64_t)w->lost,
    };

    rfc3339_format_ms(w->r.created_at_ms, created);
    reply.created_at = str_of(created);
    json_encode(&reply_message, &reply, out);
}

static void answer_one(struct call *c, unsigned status, const struct webhook *w)
{
    struct buf out;

    buf_init(&out, REPLY_MAX);
    put(w, status == 201, &out);
    call_reply_text(c, status, buf_str(&out));
    if (out.at != NULL)
        explicit_bzero(out.at, out.len); /* the secret */
    buf_done(&out);
}

static void on_created(void *ctx, const struct webhook *w, const struct err *err)
{
    if (err != NULL)
        call_fail(ctx, err);
    else
        answer_one(ctx, 201, w);
}

static void on_changed(void *ctx, const struct webhook *w, const struct err *err)
{
    if (err != NULL)
        call_fail(ctx, err);
    else if (w == NULL)
        call_error(ctx, 404, NULL, "Webhook was removed meanwhile");
    else
        answer_one(ctx, 200, w);
}

static void on_removed(void *ctx, const struct webhook *w, const struct err *err)
{
    ignore(w == NULL);
    if (err != NULL)
        call_fail(ctx, err);
    else
        call_reply_empty(ctx, 204);
}

void webhook_post(struct call *c)
{
    struct webhook_body body = {0};
    struct webhook_params p;
    struct err err = {0};

    if (call_body(c, &body_message, false, &body) != 0)
        return;
    if (!body.has_url) {
        call_error(c, 400, NULL, "Error when parsing request: url: required");
        return;
    }
    p = (struct webhook_params){body.name, body.url, body.secret, body.events,
                                body.has_enabled && !body.enabled};
    if (webhook_create(c->api->domain, c->team, &p, on_created, c, &err) != 0)
        call_fail(c, &err);
}

static const struct webhook *require(struct call *c)
{
    struct str id = call_param(c, 0);
    const struct webhook *w = webhook_find(c->api->domain, c->team, id);

    if (w == NULL)
        call_error(c, 404, NULL, "Webhook '%.*s' not found", STR_ARG(str_upto(id, 64)));
    return w;
}

/* An absent member stays as it is; an empty list of events means all. */
void webhook_patch(struct call *c)
{
    struct webhook_body body = {0};
    const struct webhook *w = require(c);
    struct webhook_params p;
    struct err err = {0};

    if (w == NULL || call_body(c, &body_message, false, &body) != 0)
        return;
    p = (struct webhook_params){
        .name = body.has_name ? body.name : w->r.name,
        .url = body.has_url ? body.url : w->r.url,
        .secret = body.secret,
        .types = body.events.items != NULL ? body.events : w->r.types,
        .is_disabled = body.has_enabled ? !body.enabled : w->r.is_disabled,
    };
    if (webhook_change(c->api->domain, c->team, w->r.id, &p, on_changed, c, &err) != 0)
        call_fail(c, &err);
}

void webhook_delete(struct call *c)
{
    struct err err = {0};

    if (webhook_remove(c->api->domain, c->team, call_param(c, 0), on_removed, c, &err) != 0)
        call_fail(c, &err);
}

void webhook_get(struct call *c)
{
    const struct webhook *w = require(c);

    if (w != NULL)
        answer_one(c, 200, w);
}

void webhook_list_get(struct call *c)
{
    size_t count;
    const struct webhook **list =
        webhook_list(c->api->domain, c->team, exchange_arena(c->x), &count);
    struct buf out;

    if (list == NULL) {
        call_error(c, 500, "internal_server_error", "answer too large");
        return;
    }
    buf_init(&out, REPLY_MAX);
    buf_add_byte(&out, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_byte(&out, ',');
        put(list[i], false, &out);
    }
    buf_add_byte(&out, ']');
    call_reply_text(c, 200, buf_str(&out));
    buf_done(&out);
}

static void put_dead(const struct delivery_record *r, struct buf *out)
{
    char created[RFC3339_MAX], died[RFC3339_MAX];
    struct dead_reply reply = {
        .event_id = r->event_id,
        .type = r->type,
        .subject = r->subject,
        .error = r->error,
        .status = r->status,
        .tries = r->tries,
        .event = r->body,
    };

    rfc3339_format_ms(r->created_at_ms, created);
    rfc3339_format_ms(r->died_at_ms, died);
    reply.created_at = str_of(created);
    reply.died_at = str_of(died);
    json_encode(&dead_message, &reply, out);
}

void webhook_dead_get(struct call *c)
{
    const struct webhook *w = require(c);
    struct list_node *n = w == NULL ? NULL : list_first(&w->dead);
    struct buf out;

    if (w == NULL)
        return;
    buf_init(&out, REPLY_MAX);
    buf_add_byte(&out, '[');
    for (; n != NULL; n = list_next(&w->dead, n)) {
        if (out.len > 1)
            buf_add_byte(&out, ',');
        put_dead(&container_of(n, struct delivery, node)->r, &out);
    }
    buf_add_byte(&out, ']');
    call_reply_text(c, 200, buf_str(&out));
    buf_done(&out);
}

void webhook_redeliver_post(struct call *c)
{
    struct redeliver_body body = {0};
    const struct webhook *w = require(c);
    char json[40];
    size_t count;

    if (w == NULL || call_body(c, &redeliver_message, true, &body) != 0)
        return;
    count = webhook_redeliver(c->api->domain, c->team, w->r.id, body.event);
    if (body.event.len > 0 && count == 0) {
        call_error(c, 404, NULL, "There is no dead letter of event '%.*s'",
                   STR_ARG(str_upto(body.event, 64)));
        return;
    }
    ignore(snprintf(json, sizeof(json), "{\"count\":%zu}", count));
    call_reply_text(c, 202, str_of(json));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Teams over REST: what a key sees of its own, and what operators do with all (wire.md 2.5, rows
 * 48, 54, 55; the rows under /admin/teams are ours). Called by the gate. */
#include "api/call.h"
#include "api/errors.h"
#include "api/key_fields.h"
#include "base/clock.h"
#include "domain/quota.h"

enum {
    LIMITS_TEXT_MAX = 1024,
};

/* What the CLI logs in with: it stores the key that it showed. */
static struct str shown_key(const struct call *c)
{
    const struct http_head *h = exchange_head(c->x);
    struct str key = http_field(h, "x-api-key"), rest;

    if (c->is_admin)
        return (struct str){0};
    if (key.at != NULL)
        return key;
    ignore((long)str_cut(http_field(h, "authorization"), ' ', &rest).len);
    return str_trim(rest);
}

/* A key has one team, so it is the default one. */
void team_list_get(struct call *c)
{
    struct listed_team_reply reply = {
        .id = c->team->r.id, .name = c->team->r.name, .key = shown_key(c), .is_default = true};
    struct buf json;

    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    json_encode(&listed_team_reply_message, &reply, &json);
    buf_add_byte(&json, ']');
    call_reply_text(c, 200, buf_str(&json));
    if (json.at != NULL)
        explicit_bzero(json.at, json.len);
    buf_done(&json);
}

void access_token_post(struct call *c)
{
    call_error(c, 410, NULL, "Access tokens cannot be created any more, use API keys instead");
}

void access_token_delete(struct call *c)
{
    call_error(c, 404, NULL, "Access token '%.*s' not found",
               STR_ARG(str_upto(call_param(c, 0), 64)));
}

static void put_numbers(const struct domain *d, const struct team *t, bool is_used, struct buf *out)
{
    const char *comma = "";

    buf_add_byte(out, '{');
    for (size_t i = 0; i < TEAM_LIMIT_COUNT; i++) {
        enum team_limit limit = (enum team_limit)i;

        if (is_used && !quota_is_shared(limit))
            continue;
        buf_printf(out, "%s\"%s\":", comma, quota_name(limit));
        buf_add_u64(out, is_used ? quota_used(t, limit) : quota_limit(d, t, limit));
        comma = ",";
    }
    buf_add_byte(out, '}');
}

static void put_team(const struct domain *d, const struct team *t, struct buf *json)
{
    char created[RFC3339_MAX];
    struct buf limits, used;
    struct team_reply reply = {
        .id = t->r.id,
        .name = t->r.name,
        .tier = t->r.tier.len > 0 ? t->r.tier : STR("standard"),
        .block_reason = t->r.block_reason,
        .is_default = t == team_default(d),
        .is_blocked = t->r.is_blocked,
        .is_banned = t->r.is_banned,
    };

    rfc3339_format_ms(t->r.created_at_ms, created);
    buf_init(&limits, LIMITS_TEXT_MAX);
    buf_init(&used, LIMITS_TEXT_MAX);
    put_numbers(d, t, false, &limits);
    put_numbers(d, t, true, &used);
    reply.created_at = str_of(created);
    reply.limits = buf_str(&limits);
    reply.used = buf_str(&used);
    json_encode(&team_reply_message, &reply, json);
    buf_done(&limits);
    buf_done(&used);
}

static void reply_team(struct call *c, unsigned status, const struct team *t)
{
    struct buf json;

    buf_init(&json, REPLY_MAX);
    put_team(c->api->domain, t, &json);
    call_reply_text(c, status, buf_str(&json));
    buf_done(&json);
}

void team_admin_list(struct call *c)
{
    const struct domain *d = c->api->domain;
    size_t count = 0;
    const struct team **teams = team_list(d, exchange_arena(c->x), &count);
    struct buf json;

    if (teams == NULL) {
        call_error(c, 500, "internal_server_error", "too many teams for one answer");
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buf_add_byte(&json, ',');
        put_team(d, teams[i], &json);
    }
    buf_add_byte(&json, ']');
    if (buf_ok(&json))
        call_reply_text(c, 200, buf_str(&json));
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(&json);
}

void team_admin_get(struct call *c)
{
    reply_team(c, 200, c->team);
}

/* The table of limits is made from their names, which are the quota's. */
static int parse_limits(struct call *c, struct str json, struct team_change *out)
{
    struct codec_field fields[TEAM_LIMIT_COUNT];
    struct codec_message m = {"limits", sizeof(*out), fields, TEAM_LIMIT_COUNT};
    struct team_change found = {0};
    struct err err = {0};

    if (json.len == 0)
        return 0;
    for (size_t i = 0; i < TEAM_LIMIT_COUNT; i++)
        fields[i] = (struct codec_field){
            .number = (uint32_t)i + 1,
            .name = quota_name((enum team_limit)i),
            .type = CODEC_NUMBER,
            .flags = CODEC_OPTIONAL,
            .offset = offsetof(struct team_change, limits) + i * sizeof(found.limits[0]),
            .presence = offsetof(struct team_change, has_limit) + i * sizeof(found.has_limit[0]),
        };
    if (json_decode(&m, json, exchange_arena(c->x), &found, &err) != 0) {
        call_error(c, 400, NULL, "Error when parsing request: limits: %s", err.text);
        return -1;
    }
    memcpy(out->limits, found.limits, sizeof(out->limits));
    memcpy(out->has_limit, found.has_limit, sizeof(out->has_limit));
    return 0;
}

static int read_change(struct call *c, struct team_body *body, struct team_change *out)
{
    if (call_body(c, &team_message, false, body) != 0)
        return -1;
    *out = (struct team_change){
        .has_tier = body->has_tier,
        .has_blocked = body->has_blocked,
        .has_banned = body->has_banned,
        .tier = body->tier,
        .is_blocked = body->is_blocked,
        .is_banned = body->is_banned,
        .block_reason = body->block_reason,
    };
    return parse_limits(c, body->limits, out);
}

static void on_created(void *ctx, const struct team *t, const struct err *err)
{
    if (err == NULL)
        reply_team(ctx, 201, t);
    else
        call_fail(ctx, err);
}

static void on_altered(void *ctx, const struct team *t, const struct err *err)
{
    if (err == NULL)
        reply_team(ctx, 200, t);
    else
        call_fail(ctx, err);
}

void team_admin_post(struct call *c)
{
    struct team_body body = {0};
    struct team_change change;
    struct err err = {0};

    if (read_change(c, &body, &change) == 0 &&
        team_create(c->api->domain, body.name, &change, on_created, c, &err) != 0)
        call_fail(c, &err);
}

void team_admin_patch(struct call *c)
{
    struct team_body body = {0};
    struct team_change change;
    struct err err = {0};

    if (read_change(c, &body, &change) != 0)
        return;
    if (body.name.len > 0 && !str_eq(body.name, c->team->r.name))
        call_error(c, 400, NULL, "validation error: the name of a team cannot be changed");
    else if (team_alter(c->api->domain, c->team, &change, on_altered, c, &err) != 0)
        call_fail(c, &err);
}

static void on_killed(void *ctx, size_t killed, size_t failed)
{
    struct kill_reply reply = {(int64_t)killed, (int64_t)failed};

    call_reply(ctx, 200, &kill_reply_message, &reply);
}

void team_admin_kill(struct call *c)
{
    team_kill_all(c->api->domain, c->team, on_killed, c);
}

void team_admin_counts(struct call *c)
{
    size_t count = 0;
    const struct team **teams = team_list(c->api->domain, exchange_arena(c->x), &count);
    const char *comma = "";
    struct buf json;

    if (teams == NULL) {
        call_error(c, 500, "internal_server_error", "too many teams for one answer");
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '{');
    for (size_t i = 0; i < count; i++) {
        size_t running = team_running_count(teams[i]);

        if (running == 0)
            continue;
        buf_printf(&json, "%s\"%.*s\":%zu", comma, STR_ARG(teams[i]->r.id), running);
        comma = ",";
    }
    buf_add_byte(&json, '}');
    call_reply_text(c, 200, buf_str(&json));
    buf_done(&json);
}

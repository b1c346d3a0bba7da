/* SPDX-License-Identifier: Apache-2.0 */
/* API keys over REST: for the team of the caller's key, or for operators and the command line with
 * the admin token. Called by the gate. */
#include "api/call.h"
#include "api/errors.h"
#include "api/key_fields.h"
#include "base/clock.h"

enum {
    SCOPES_MAX = 3,
};

struct key_view {
    struct key_reply reply;
    struct mask_reply mask;
    struct str scopes[SCOPES_MAX];
    char created[RFC3339_MAX], used[RFC3339_MAX], expires[RFC3339_MAX];
};

static struct str date(int64_t at_ms, char out[RFC3339_MAX])
{
    if (at_ms == 0)
        return (struct str){0};
    rfc3339_format_ms(at_ms, out);
    return str_of(out);
}

static void fill(const struct call *c, struct key_view *v, const struct key *k)
{
    v->mask = (struct mask_reply){k->r.prefix, k->r.head, k->r.tail, k->r.value_len};
    v->reply = (struct key_reply){
        .id = k->r.id,
        .name = k->r.name,
        .created_at = date(k->r.created_at_ms, v->created),
        .mask = &v->mask,
        .last_used = date(k->r.last_used_at_ms, v->used),
        .description = k->r.description,
        .expires_at = date(k->r.expires_at_ms, v->expires),
        .scopes = {v->scopes, 0},
    };
    for (uint32_t scope = 1; scope <= KEY_SCOPES_ALL; scope <<= 1)
        if ((key_scopes(k) & scope) != 0)
            v->scopes[v->reply.scopes.count++] = str_of(key_scope_name(scope));
    if (!c->is_admin)
        return;
    v->reply.hash = k->r.hash;
    v->reply.status = str_of(key_status_name(key_status(k)));
    v->reply.source = str_of(key_source_name(k->source));
    v->reply.team_id = k->r.team_id;
    if (k->team != NULL)
        v->reply.team_name = k->team->r.name;
}

static void reply_list(struct call *c, const struct key_query *q)
{
    size_t count = 0;
    const struct key **keys = key_list(c->api->domain, q, exchange_arena(c->x), &count);
    struct buf json;

    if (keys == NULL) {
        call_error(c, 500, "internal_server_error", "too many API keys for one answer");
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < count; i++) {
        struct key_view view;

        fill(c, &view, keys[i]);
        if (i > 0)
            buf_add_byte(&json, ',');
        json_encode(&key_reply_message, &view.reply, &json);
    }
    buf_add_byte(&json, ']');
    if (buf_ok(&json))
        call_reply_text(c, 200, buf_str(&json));
    else
        call_error(c, 500, "internal_server_error", "answer too large");
    buf_done(&json);
}

void key_list_get(struct call *c)
{
    struct key_query q = {.team = c->team, .statuses = 1U << KEY_VALID};

    reply_list(c, &q);
}

static int parse_status(struct str text, unsigned *out)
{
    if (text.len == 0)
        text = str_of(key_status_name(KEY_VALID));
    *out = str_is(text, "all") ? ~0U : 0;
    for (size_t i = 0; i < KEY_STATUS_COUNT; i++)
        if (str_is(text, key_status_name((enum key_status)i)))
            *out = 1U << i;
    return *out != 0 ? 0 : -1;
}

void key_list_all(struct call *c)
{
    struct str team = call_query(c, "team");
    struct key_query q = {.hash_prefix = call_query(c, "hash"), .id = call_query(c, "id")};

    if (team.len > 0 && (q.team = team_find(c->api->domain, team)) == NULL)
        call_error(c, 404, NULL, "Team '%.*s' not found", STR_ARG(str_upto(team, 64)));
    else if (parse_status(call_query(c, "status"), &q.statuses) != 0)
        call_error(c, 400, NULL,
                   "validation error: status must be valid, revoked, expired, orphaned or all");
    else
        reply_list(c, &q);
}

static void on_created(void *ctx, const struct key *k, struct str raw, const struct err *err)
{
    struct call *c = ctx;
    struct key_view view;

    if (err != NULL) {
        call_fail(c, err);
        return;
    }
    fill(c, &view, k);
    view.reply.key = raw;
    call_reply(c, 201, &key_reply_message, &view.reply);
}

static int parse_scopes(struct call *c, const struct codec_list *list, uint32_t *out)
{
    const struct str *names = list->items;

    *out = 0;
    for (size_t i = 0; i < list->count; i++) {
        uint32_t scope = key_scope_of(names[i]);

        if (scope == 0) {
            call_error(c, 400, NULL, "validation error: scopes are read, write and admin");
            return -1;
        }
        *out |= scope;
    }
    if (((*out != 0 ? *out : (uint32_t)KEY_SCOPES) & ~c->scopes) == 0)
        return 0;
    call_error(c, 403, NULL, "this API key cannot give scopes that it does not have");
    return -1;
}

static int parse_end(struct call *c, const struct key_body *b, int64_t *out_ms)
{
    int64_t seconds;
    uint32_t nanos;

    *out_ms = 0;
    if (b->expires_at.len > 0 && b->has_expires_in) {
        call_error(c, 400, NULL, "validation error: either expiresAt or expiresIn");
        return -1;
    }
    if (b->has_expires_in && (b->expires_in <= 0 || b->expires_in > KEY_LIFE_MAX_S)) {
        call_error(c, 400, NULL, "validation error: expiresIn must be between 1 and %d",
                   KEY_LIFE_MAX_S);
        return -1;
    }
    if (b->has_expires_in) {
        *out_ms = clock_wall_ms() + b->expires_in * 1000;
    } else if (b->expires_at.len > 0) {
        if (!rfc3339_parse(b->expires_at, &seconds, &nanos) || seconds <= 0) {
            call_error(c, 400, NULL, "validation error: expiresAt must be a date of RFC 3339");
            return -1;
        }
        *out_ms = seconds * 1000;
    }
    return 0;
}

void key_post(struct call *c)
{
    struct key_body body = {0};
    struct key_params p = {.team = c->team};
    struct err err = {0};

    if (call_body(c, &key_message, false, &body) != 0 ||
        parse_scopes(c, &body.scopes, &p.scopes) != 0 || parse_end(c, &body, &p.expires_at_ms) != 0)
        return;
    p.name = body.name;
    p.description = body.description;
    if (key_create(c->api->domain, &p, on_created, c, &err) != 0)
        call_fail(c, &err);
}

/* Routes that name the team have it first. */
static struct str key_id(const struct call *c)
{
    return call_param(c, c->route->auth == AUTH_ADMIN_TEAM ? 1 : 0);
}

void key_rotate_post(struct call *c)
{
    struct key_rotate_body body = {0};
    struct err err = {0};

    if (call_body(c, &key_rotate_message, true, &body) == 0 &&
        key_rotate(c->api->domain, c->team, key_id(c), body.grace_s, on_created, c, &err) != 0)
        call_fail(c, &err);
}

static void on_revoked(void *ctx, const struct err *err)
{
    struct call *c = ctx;

    if (err == NULL)
        call_reply_empty(c, 204);
    else
        call_fail(c, err);
}

void key_delete(struct call *c)
{
    struct err err = {0};

    if (key_revoke(c->api->domain, c->team, key_id(c), on_revoked, c, &err) != 0)
        call_fail(c, &err);
}

static void on_altered(void *ctx, const struct err *err)
{
    struct call *c = ctx;

    if (err == NULL)
        call_reply_empty(c, 200);
    else
        call_fail(c, err);
}

void key_patch(struct call *c)
{
    struct key_patch_body body = {0};
    struct key_change change = {.team = c->team, .id = key_id(c)};
    struct err err = {0};

    if (call_body(c, &key_patch_message, false, &body) != 0)
        return;
    if (!body.has_name && !body.has_description) {
        call_error(c, 400, NULL, "validation error: name or description is needed");
        return;
    }
    change.name = body.name;
    change.has_name = body.has_name;
    change.description = body.description;
    change.has_description = body.has_description;
    if (key_alter(c->api->domain, &change, on_altered, c, &err) != 0)
        call_fail(c, &err);
}

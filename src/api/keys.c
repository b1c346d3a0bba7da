/* SPDX-License-Identifier: Apache-2.0 */
/* API keys over REST: for the team of the caller's key, or for operators and the command line with
 * the admin token. Called by the gate. */
#include "api/call.h"
#include "api/errors.h"
#include "api/fields.h"
#include "base/clock.h"

struct key_view {
    struct key_reply reply;
    struct mask_reply mask;
    char created[RFC3339_MAX];
};

static void fill(struct key_view *v, const struct key *k)
{
    rfc3339_format_ms(k->r.created_at_ms, v->created);
    v->mask = (struct mask_reply){k->r.prefix, k->r.head, k->r.tail, k->r.value_len};
    v->reply = (struct key_reply){
        .id = k->r.id, .name = k->r.name, .created_at = str_of(v->created), .mask = &v->mask};
}

void key_list_get(struct call *c)
{
    size_t count = 0;
    const struct key **keys = key_list(c->api->domain, c->team, exchange_arena(c->x), &count);
    struct buf json;

    if (keys == NULL) {
        call_error(c, 500, "internal_server_error", "too many API keys for one answer");
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_add_byte(&json, '[');
    for (size_t i = 0; i < count; i++) {
        struct key_view view;

        fill(&view, keys[i]);
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

static void on_created(void *ctx, const struct key *k, struct str raw, const struct err *err)
{
    struct call *c = ctx;
    struct key_view view;

    if (err != NULL) {
        call_fail(c, err);
        return;
    }
    fill(&view, k);
    view.reply.key = raw;
    call_reply(c, 201, &key_reply_message, &view.reply);
}

void key_post(struct call *c)
{
    struct key_body body = {0};
    struct err err = {0};

    if (call_body(c, &key_message, false, &body) == 0 &&
        key_create(c->api->domain, c->team, body.name, on_created, c, &err) != 0)
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

static void revoke_key(struct call *c, struct str id)
{
    struct err err = {0};

    if (key_revoke(c->api->domain, c->team, id, on_revoked, c, &err) != 0)
        call_fail(c, &err);
}

void key_delete(struct call *c)
{
    revoke_key(c, call_param(c, 0));
}

void key_admin_delete(struct call *c)
{
    revoke_key(c, call_param(c, 1));
}

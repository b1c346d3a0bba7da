/* SPDX-License-Identifier: Apache-2.0 */
/* Pause, resume and both connects over REST (wire.md 2.8). Called by the gate. */
#include "api/call.h"
#include "api/errors.h"
#include "api/fields.h"
#include "api/sandbox_json.h"

enum {
    RESUME_DEFAULT_S = 15, /* the documented default of the old call */
};

static void on_paused(void *ctx, const struct sandbox *s, const struct err *err)
{
    static const struct http_field frozen = {
        STR("X-Sandlot-Warning"),
        STR("its memory stays in RAM, as no checkpoint can keep one of its processes: "
            "a reboot of the node ends them, and its files are what is left")};
    struct call *c = ctx;

    if (err == NULL)
        call_reply_fields(c, 204, (struct str){0}, &frozen, s != NULL && s->is_frozen);
    else if (err->kind == ERR_NOT_FOUND)
        call_fail(c, err);
    else
        call_error(c, error_status(err->kind), NULL, "Error pausing sandbox: %s", err->text);
}

void sandbox_pause_post(struct call *c)
{
    struct pause_body body = {0};
    struct pause_ask ask = {.fn = on_paused, .ctx = c};
    struct err err = {0};
    struct str id;

    if (call_body(c, &pause_message, true, &body) != 0 || call_sandbox_id(c, &id) != 0)
        return;
    ask.keeps_memory = !body.has_memory || body.memory;
    if (sandbox_pause(c->api->domain, c->team, id, &ask, &err) != 0)
        call_fail(c, &err);
}

static void answer(struct call *c, unsigned status, const struct sandbox *s, const struct err *err)
{
    if (err != NULL)
        call_fail(c, err);
    else if (s == NULL)
        call_error(c, 404, NULL, "Sandbox ended while connecting");
    else
        sandbox_json_reply(c, status, s);
}

static void on_running(void *ctx, const struct sandbox *s, const struct err *err)
{
    answer(ctx, 200, s, err);
}

static void on_resumed(void *ctx, const struct sandbox *s, const struct err *err)
{
    answer(ctx, 201, s, err);
}

/* memory:false boots one that is paused over its files; to one that runs it means nothing. */
static void resume(struct call *c, const struct time_body *body, int64_t fallback_s,
                   bool is_only_paused)
{
    const struct resume_ask ask = {
        .seconds = body->has_timeout ? body->timeout : fallback_s,
        .is_cold = body->has_memory && !body->memory,
        .is_only_paused = is_only_paused,
        .running = on_running,
        .resumed = on_resumed,
        .ctx = c,
    };
    struct err err = {0};
    struct str id;

    if (call_sandbox_id(c, &id) == 0 &&
        sandbox_connect(c->api->domain, c->team, id, &ask, &err) != 0)
        call_fail(c, &err);
}

void sandbox_connect_v1(struct call *c)
{
    struct time_body body = {0};

    if (call_body(c, &time_required_message, false, &body) == 0)
        resume(c, &body, 0, false);
}

void sandbox_connect_v2(struct call *c)
{
    struct time_body body = {0};

    if (call_body(c, &time_optional_message, true, &body) == 0)
        resume(c, &body, (int64_t)domain_timeout_default_s(c->api->domain), false);
}

void sandbox_resume_post(struct call *c)
{
    struct time_body body = {0};

    if (call_body(c, &time_optional_message, true, &body) == 0)
        resume(c, &body, RESUME_DEFAULT_S, true);
}

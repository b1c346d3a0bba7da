/* SPDX-License-Identifier: Apache-2.0 */
/* See engine_internal.h: the messages of the engine's protocol, both directions. */
#include <stdio.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "worker/engine_internal.h"

enum {
    SAY_MAX = WS_MESSAGE_MAX,
    HEAR_MAX = WS_MESSAGE_MAX + (1 << 20), /* memory of one message that is being read */
};

struct message {
    struct str type, invocation_id, function_id, worker_id, reattach_token, code, traceparent,
        baggage;
    struct str data, result, error;
};

struct error_body {
    struct str code, message, stacktrace;
};

/* clang-format off */
static const struct codec_field message_fields[] = {
    {1, "type", CODEC_STRING, 0, offsetof(struct message, type)},
    {2, "invocation_id", CODEC_STRING, 0, offsetof(struct message, invocation_id)},
    {3, "function_id", CODEC_STRING, 0, offsetof(struct message, function_id)},
    {4, "worker_id", CODEC_STRING, 0, offsetof(struct message, worker_id)},
    {5, "reattach_token", CODEC_STRING, 0, offsetof(struct message, reattach_token)},
    {6, "code", CODEC_STRING, 0, offsetof(struct message, code)},
    {7, "traceparent", CODEC_STRING, 0, offsetof(struct message, traceparent)},
    {8, "baggage", CODEC_STRING, 0, offsetof(struct message, baggage)},
    {9, "data", CODEC_RAW, 0, offsetof(struct message, data)},
    {10, "result", CODEC_RAW, 0, offsetof(struct message, result)},
    {11, "error", CODEC_RAW, 0, offsetof(struct message, error)},
};
static const struct codec_message message_table =
    {NULL, sizeof(struct message), message_fields, COUNT_OF(message_fields)};

static const struct codec_field error_fields[] = {
    {1, "code", CODEC_STRING, 0, offsetof(struct error_body, code)},
    {2, "message", CODEC_STRING, 0, offsetof(struct error_body, message)},
    {3, "stacktrace", CODEC_STRING, 0, offsetof(struct error_body, stacktrace)},
};
static const struct codec_message error_table =
    {NULL, sizeof(struct error_body), error_fields, COUNT_OF(error_fields)};
/* clang-format on */

static void add_member(struct buf *out, const char *name, struct str text)
{
    buf_printf(out, ",\"%s\":", name);
    json_quote(out, text);
}

static void begin(struct buf *out, const char *type)
{
    buf_init(out, SAY_MAX);
    buf_printf(out, "{\"type\":\"%s\"", type);
}

void engine_say(struct engine *e, struct buf *text)
{
    if (!buf_ok(text))
        log_error("engine.message_too_large", "max=%d", SAY_MAX);
    else if (e->socket != NULL)
        ignore(websocket_send(e->socket, true, buf_str(text))); /* WS_OUT_MAX is the bound */
    if (text->at != NULL)
        explicit_bzero(text->at, text->len);
    buf_done(text);
}

static void reattach(struct engine *e)
{
    struct buf out;

    begin(&out, "reattach");
    add_member(&out, "previous_worker_id", str_of(e->worker_id));
    add_member(&out, "reattach_token", str_of(e->token));
    buf_add_byte(&out, '}');
    engine_say(e, &out);
}

static void announce(struct engine *e)
{
    const char *namespace = getenv("III_NAMESPACE"), *isolation = getenv("III_ISOLATION");
    struct utsname os = {0};
    struct buf out;

    ignore(uname(&os)); /* cosmetic */
    begin(&out, "invokefunction");
    add_member(&out, "function_id", STR("engine::workers::register"));
    buf_add_text(&out, ",\"action\":{\"type\":\"void\"},\"data\":{\"runtime\":\"c\"");
    add_member(&out, "version", str_of(e->spec.version));
    add_member(&out, "name", str_of(e->spec.name));
    add_member(&out, "description", str_of(e->spec.description));
    buf_printf(&out, ",\"os\":\"%.60s %.60s (%.60s)\",\"pid\":%d", os.sysname, os.release,
               os.machine, (int)getpid());
    if (isolation != NULL && *isolation != '\0')
        add_member(&out, "isolation", str_of(isolation));
    else
        buf_add_text(&out, ",\"isolation\":null");
    if (namespace != NULL && *namespace != '\0')
        add_member(&out, "namespace", str_of(namespace));
    buf_add_text(&out, ",\"telemetry\":{\"language\":\"c\",\"framework\":\"sandlot\"}}}");
    engine_say(e, &out);
}

static void register_function(struct engine *e, const struct engine_function *f)
{
    struct buf out;

    begin(&out, "registerfunction");
    add_member(&out, "id", str_of(f->id));
    add_member(&out, "description", str_of(f->description));
    if (f->request_format.len > 0)
        buf_printf(&out, ",\"request_format\":%.*s", STR_ARG(f->request_format));
    if (f->response_format.len > 0)
        buf_printf(&out, ",\"response_format\":%.*s", STR_ARG(f->response_format));
    if (f->metadata.len > 0)
        buf_printf(&out, ",\"metadata\":%.*s", STR_ARG(f->metadata));
    buf_add_byte(&out, '}');
    engine_say(e, &out);
}

void engine_greet(struct engine *e)
{
    if (e->worker_id[0] != '\0' && e->token[0] != '\0')
        reattach(e);
    announce(e);
    for (size_t i = 0; i < e->spec.function_count && !e->is_retired; i++)
        register_function(e, &e->spec.functions[i]);
}

void engine_retire(struct engine *e)
{
    e->is_retired = true;
    for (size_t i = 0; i < e->spec.function_count; i++) {
        struct buf out;

        begin(&out, "unregisterfunction");
        add_member(&out, "id", str_of(e->spec.functions[i].id));
        buf_add_byte(&out, '}');
        engine_say(e, &out);
    }
}

static void add_trace(struct buf *out, const struct engine_invocation *to)
{
    if (to->traceparent.len > 0)
        add_member(out, "traceparent", to->traceparent);
    if (to->baggage.len > 0)
        add_member(out, "baggage", to->baggage);
    buf_add_byte(out, '}');
}

void engine_reply(struct engine *e, const struct engine_invocation *to, struct str result,
                  const struct engine_error *error)
{
    struct buf out;

    if (to->id.len == 0 || to->round != e->round || e->socket == NULL)
        return;
    begin(&out, "invocationresult");
    add_member(&out, "invocation_id", to->id);
    add_member(&out, "function_id", to->function);
    if (error == NULL) {
        buf_add_text(&out, ",\"result\":");
        buf_add_str(&out, result);
    } else {
        buf_add_text(&out, ",\"error\":{\"code\":");
        json_quote(&out, error->code);
        add_member(&out, "message", error->message);
        if (error->stacktrace.len > 0)
            add_member(&out, "stacktrace", error->stacktrace);
        buf_add_byte(&out, '}');
    }
    add_trace(&out, to);
    if (!buf_ok(&out) && error == NULL) {
        const struct engine_error too_large = {
            STR("invocation_failed"), STR("[S400] the result is too large"), {0}};

        buf_done(&out);
        engine_reply(e, to, (struct str){0}, &too_large);
        return;
    }
    engine_say(e, &out);
}

static void on_call_late(void *ctx)
{
    struct engine_call *c = ctx;
    struct engine_error error = {str_of(c->failure), STR("no answer in time"), {0}};

    engine_call_end(c, (struct str){0}, &error);
}

struct engine_call *engine_invoke(struct engine *e, struct str function, struct str data,
                                  uint64_t timeout_ms, engine_result_fn *fn, void *ctx)
{
    struct engine_call *c = mem_zero(sizeof(*c));
    bool may_send = e->socket != NULL && websocket_is_open(e->socket);
    struct buf out;

    c->engine = e;
    c->fn = fn;
    c->ctx = ctx;
    c->failure = "timeout";
    id_uuid(c->id);
    if (e->calls.count >= ENGINE_CALLS_MAX)
        c->failure = "busy";
    else if (!may_send)
        c->failure = "disconnected";
    map_put(&e->calls, str_of(c->id), c);
    timer_start(e->loop, &c->timer, strcmp(c->failure, "timeout") == 0 ? timeout_ms : 0,
                on_call_late, c);
    if (strcmp(c->failure, "timeout") != 0)
        return c;
    begin(&out, "invokefunction");
    add_member(&out, "invocation_id", str_of(c->id));
    add_member(&out, "function_id", function);
    buf_add_text(&out, ",\"data\":");
    buf_add_str(&out, data.len == 0 ? STR("null") : data);
    buf_add_byte(&out, '}');
    engine_say(e, &out);
    return c;
}

static void hear_registered(struct engine *e, const struct message *m)
{
    if (!str_to_c(m->worker_id, e->worker_id, sizeof(e->worker_id)) ||
        !str_to_c(m->reattach_token, e->token, sizeof(e->token)))
        e->worker_id[0] = e->token[0] = '\0'; /* it will be a new worker each time */
}

static void hear_invoke(struct engine *e, const struct message *m)
{
    struct engine_invocation i = {
        .round = e->round,
        .id = str_upto(m->invocation_id, ENGINE_ID_MAX),
        .function = m->function_id,
        .data = m->data.len == 0 ? STR("null") : m->data,
        .traceparent = m->traceparent.len > ENGINE_TRACE_MAX ? (struct str){0} : m->traceparent,
        .baggage = m->baggage.len > ENGINE_TRACE_MAX ? (struct str){0} : m->baggage,
    };

    if (m->invocation_id.len > ENGINE_ID_MAX || m->function_id.len > ENGINE_FUNCTION_MAX)
        log_warn("engine.odd_message", "error=\"an id is too long\"");
    else
        e->events->on_invoke(e->ctx, &i);
}

static void hear_result(struct engine *e, const struct message *m)
{
    struct engine_call *c = map_get(&e->calls, m->invocation_id);
    struct error_body body = {0};
    struct engine_error error;
    struct arena arena;

    if (c == NULL)
        return; /* late, or cancelled */
    if (m->error.len == 0) {
        engine_call_end(c, m->result.len == 0 ? STR("null") : m->result, NULL);
        return;
    }
    arena_init(&arena, HEAR_MAX);
    if (json_decode(&error_table, m->error, &arena, &body, NULL) != 0)
        body = (struct error_body){STR("UNKNOWN"), m->error, {0}};
    error = (struct engine_error){body.code, body.message, body.stacktrace};
    engine_call_end(c, (struct str){0}, &error);
    arena_done(&arena);
}

static void hear_ping(struct engine *e, const struct message *m)
{
    struct buf out;

    ignore(m == NULL);
    begin(&out, "pong");
    buf_add_byte(&out, '}');
    engine_say(e, &out);
}

static void hear_rejected(struct engine *e, const struct message *m)
{
    if (str_is(m->code, "WORKER_NAMESPACE_CONFLICT")) {
        engine_refused(e, "the engine has a worker of this name already");
        return;
    }
    log_error("engine.function_rejected", "function=\"%.*s\" code=\"%.*s\"",
              STR_ARG(str_upto(m->function_id, ENGINE_FUNCTION_MAX)),
              STR_ARG(str_upto(m->code, 64)));
}

static void hear_nothing(struct engine *e, const struct message *m)
{
    ignore(e == NULL || m == NULL); /* pongs, and what is about triggers: we have none */
}

static const struct {
    const char *type;
    void (*fn)(struct engine *e, const struct message *m);
} types[] = {
    {"workerregistered",          hear_registered},
    {"invokefunction",            hear_invoke    },
    {"invocationresult",          hear_result    },
    {"ping",                      hear_ping      },
    {"pong",                      hear_nothing   },
    {"registrationrejected",      hear_rejected  },
    {"triggerregistrationresult", hear_nothing   },
};

void engine_hear(struct engine *e, struct str text)
{
    struct message m = {0};
    struct arena arena;
    struct err err = {0};
    size_t i = 0;

    arena_init(&arena, HEAR_MAX);
    if (json_decode(&message_table, text, &arena, &m, &err) != 0) {
        log_warn("engine.odd_message", "error=\"%s\"", err.text);
    } else {
        while (i < COUNT_OF(types) && !str_is(m.type, types[i].type))
            i++;
        if (i < COUNT_OF(types))
            types[i].fn(e, &m);
        else
            log_warn("engine.unknown_message", "type=\"%.*s\"", STR_ARG(str_upto(m.type, 64)));
    }
    arena_done(&arena);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes and what each does. No route asks for a token: the clients send none to most
 * of them, and what reaches this port came through the edge's gate. */
#include "interpreter/service.h"

#include "codec/codec.h"
#include "interpreter/ascii.h"
#include "interpreter/bodies.h"
#include "interpreter/globals.h"

enum { JOB_MAX = 4 * BODY_MAX };

struct route {
    struct route_key key;
    void (*handle)(struct service *s, struct exchange *x, struct context *c);
};

static void reply_text(struct exchange *x, unsigned status, struct str text)
{
    exchange_reply(x, status, "text/plain; charset=utf-8", text);
}

static void reply_json(struct exchange *x, const struct buf *body)
{
    if (buf_ok(body))
        exchange_reply(x, 200, "application/json", buf_str(body));
    else
        reply_text(x, 500, STR("The answer is too large"));
}

/* 500 is the word of this protocol for what is not a context and not the request's form. */
static void reply_err(struct exchange *x, const struct err *err)
{
    reply_text(x, 500, str_of(err->text));
}

static const struct language *language_or_reply(struct exchange *x, struct str word)
{
    const struct language *l = language_find(word);
    struct buf text;

    if (l != NULL)
        return l;
    buf_init(&text, 1024);
    buf_printf(&text, "Unsupported language '%.*s', known are: ", STR_ARG(str_upto(word, 100)));
    language_names(&text);
    reply_text(x, 500, buf_str(&text));
    buf_done(&text);
    return NULL;
}

static void reply_unknown(struct exchange *x, struct str id)
{
    struct buf text;

    buf_init(&text, 512);
    buf_printf(&text, "Context %.*s not found", STR_ARG(str_upto(id, 200)));
    reply_text(x, 404, buf_str(&text));
    buf_done(&text);
}

static void get_health(struct service *s, struct exchange *x, struct context *c)
{
    ignore(c == NULL); /* there is none */
    if (contexts_are_ready(s->contexts))
        exchange_reply(x, 200, "application/json", STR("\"OK\""));
    else
        exchange_reply(x, 503, "application/json", STR("\"Starting\""));
}

static void add_context(struct buf *out, const struct context *c)
{
    buf_printf(out, "{\"id\":\"%s\",\"language\":\"%s\",\"cwd\":", context_id(c),
               context_language(c)->name);
    ascii_quote(out, str_of(context_cwd(c)));
    buf_add_byte(out, '}');
}

static void list_contexts(struct service *s, struct exchange *x, struct context *c)
{
    struct buf body;

    buf_init(&body, 1 << 20);
    buf_add_byte(&body, '[');
    for (c = context_next(s->contexts, NULL); c != NULL; c = context_next(s->contexts, c)) {
        buf_add_text(&body, body.len > 1 ? "," : "");
        add_context(&body, c);
    }
    buf_add_byte(&body, ']');
    reply_json(x, &body);
    buf_done(&body);
}

static void create_context(void *ctx, struct exchange *x)
{
    struct service *s = ctx;
    struct context_body b = {0};
    const struct language *l;
    struct context *c;
    struct buf body;
    struct err err;
    struct str in = exchange_body(x);

    if (json_decode(&context_message, in.len > 0 ? in : STR("{}"), exchange_arena(x), &b, &err) !=
        0) {
        reply_text(x, 400, str_of(err.text));
        return;
    }
    l = language_or_reply(x, b.language);
    if (l == NULL)
        return;
    if (context_new(s->contexts, l, b.cwd, &c, &err) != 0) {
        reply_err(x, &err);
        return;
    }
    buf_init(&body, 16 << 10);
    add_context(&body, c);
    reply_json(x, &body);
    buf_done(&body);
}

static void post_context(struct service *s, struct exchange *x, struct context *c)
{
    ignore(c == NULL); /* there is none */
    exchange_collect(x, 64 << 10, create_context, NULL, s);
}

static void delete_context(struct service *s, struct exchange *x, struct context *c)
{
    ignore(s == NULL); /* the context knows */
    context_remove(c);
    exchange_reply(x, 200, "application/json", STR("null"));
}

static void on_restarted(void *ctx, bool is_good)
{
    struct exchange *x = ctx;

    if (is_good)
        exchange_reply(x, 200, "application/json", STR("null"));
    else
        reply_text(x, 500, STR("The context's kernel did not start"));
}

static void on_restarter_gone(void *ctx, struct exchange *x)
{
    struct service *s = ctx;

    context_forget_restart(s->contexts, x);
}

static void restart_context(struct service *s, struct exchange *x, struct context *c)
{
    exchange_on_gone(x, on_restarter_gone, s);
    context_restart(c, on_restarted, x);
}

/* The context that a request names; NULL: it has been answered. */
static struct context *context_of(struct service *s, struct exchange *x,
                                  const struct execute_body *b)
{
    const struct language *l;
    struct context *c = NULL;
    struct err err;

    if (b->has_context_id && b->has_language) {
        reply_text(x, 400, STR("Only one of context_id or language can be provided"));
        return NULL;
    }
    if (b->has_context_id) {
        c = context_find(s->contexts, b->context_id);
        if (c == NULL)
            reply_unknown(x, b->context_id);
        return c;
    }
    l = language_or_reply(x, b->language);
    if (l != NULL && context_default(s->contexts, l, &c, &err) != 0)
        reply_err(x, &err);
    return c;
}

static void execute(void *ctx, struct exchange *x)
{
    struct service *s = ctx;
    struct execute_body b = {0};
    struct kernel_job job;
    struct context *c;
    struct arena mem;
    struct str token;
    struct err err;

    arena_init(&mem, JOB_MAX);
    if (json_decode(&execute_message, exchange_body(x), &mem, &b, &err) != 0) {
        reply_text(x, 400, str_of(err.text));
        arena_done(&mem);
        return;
    }
    if (b.env_vars.len > 0 && !globals_are_valid(b.env_vars)) {
        reply_text(x, 400, STR("env_vars: expected an object of strings"));
        arena_done(&mem);
        return;
    }
    token = arena_str(&mem, http_field(exchange_head(x), "X-Access-Token"));
    job = (struct kernel_job){.code = b.code, .envs = b.env_vars};
    c = context_of(s, x, &b);
    if (c != NULL && context_execute(c, x, &mem, &job, token, &err) == 0)
        return;
    if (c != NULL)
        reply_err(x, &err);
    arena_done(&mem);
}

static void post_execute(struct service *s, struct exchange *x, struct context *c)
{
    ignore(c == NULL); /* it is in the body */
    exchange_collect(x, BODY_MAX, execute, NULL, s);
}

static const struct route routes[] = {
    {{"GET", "/health"},                get_health     },
    {{"POST", "/execute"},              post_execute   },
    {{"GET", "/contexts"},              list_contexts  },
    {{"POST", "/contexts"},             post_context   },
    {{"DELETE", "/contexts/:id"},       delete_context },
    {{"POST", "/contexts/:id/restart"}, restart_context},
};

void service_serve(void *ctx, struct exchange *x)
{
    const struct http_head *h = exchange_head(x);
    struct service *s = ctx;
    struct route_match m = {0};
    struct context *c = NULL;

    switch (router_find(s->router, exchange_arena(x), h->method, h->path, &m)) {
    case ROUTE_UNKNOWN: reply_text(x, 404, STR("Not Found")); return;
    case ROUTE_NOT_METHOD: reply_text(x, 405, STR("Method Not Allowed")); return;
    case ROUTE_MALFORMED: reply_text(x, 400, STR("Bad Request")); return;
    case ROUTE_FOUND: break;
    }
    if (m.param_count > 0) {
        c = context_find(s->contexts, m.params[0]);
        if (c == NULL) {
            reply_unknown(x, m.params[0]);
            return;
        }
    }
    routes[m.row].handle(s, x, c);
}

void service_init(struct service *s, struct loop *l, struct contexts *contexts)
{
    *s = (struct service){
        .contexts = contexts,
        .loop = l,
        .router = router_new(routes, COUNT_OF(routes), sizeof(routes[0])),
    };
}

void service_done(struct service *s)
{
    router_free(s->router);
}

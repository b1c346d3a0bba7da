/* SPDX-License-Identifier: Apache-2.0 */
/* What a request may have to wait for before its sandbox can take it: to learn whose signature it
 * carries, and a sandbox that moves or is paused. Nothing of its body is read meanwhile. Part of
 * proxy.h. */
#include "edge/proxy.h"

/* Signed URLs */

static bool is_signed(const struct http_head *h)
{
    return str_is(h->path, "/files") && url_query(h->query, "signature").at != NULL;
}

/* Decoded, in the arena; .at NULL when absent. False: broken. */
static bool parameter(struct exchange *x, const char *name, struct str *out)
{
    struct str raw = url_query(exchange_head(x)->query, name);
    char *text;
    ssize_t len;

    *out = (struct str){0};
    if (raw.at == NULL)
        return true;
    text = arena_alloc(exchange_arena(x), raw.len + 1);
    len = text == NULL ? -1 : url_decode(raw, true, text);
    if (len < 0)
        return false;
    *out = (struct str){text, (size_t)len};
    return true;
}

/* What envd will hash: a preflight is signed for the method that it asks about. */
static struct str operation(const struct http_head *h)
{
    struct str method = h->method;

    if (str_is(method, "OPTIONS"))
        method = http_field(h, "Access-Control-Request-Method");
    return str_is(method, "POST") || str_is(method, "PUT") ? STR("write") : STR("read");
}

static void send_signed(void *ctx, struct link *link, uint64_t seq)
{
    struct proxy *p = ctx;
    struct exchange *x = p->x;
    struct route_signed m = {
        .seq = seq,
        .id = {p->target.id, p->target.id_len},
        .operation = operation(exchange_head(x))
    };

    if (parameter(x, "path", &m.path) && parameter(x, "username", &m.user) &&
        parameter(x, "signature", &m.signature) &&
        parameter(x, "signature_expiration", &m.expiration)) {
        m.has_expiration = m.expiration.at != NULL;
        ignore(link_send(link, ROUTE_SIGNED, &m)); /* down: asked again; else the deadline */
    }
}

static void on_signer(void *ctx, enum err_kind kind, const struct route_answer *answer)
{
    struct proxy *p = ctx;
    struct str id = answer->id;

    switch ((int)kind) {
    case ERR_NONE: break;
    case ERR_NOT_FOUND: proxy_page(p, PAGE_SIGNATURE); return;
    case ERR_DENIED: proxy_page(p, PAGE_EXPIRED); return;
    default: proxy_page(p, PAGE_BUSY); return;
    }
    if (id.len == 0 || id.len > TARGET_ID_MAX) {
        proxy_page(p, PAGE_SIGNATURE);
        return;
    }
    memcpy(p->target.id, id.at, id.len);
    p->target.id[id.len] = '\0';
    p->target.id_len = (uint8_t)id.len;
    p->target.port = ENVD_PORT;
    p->target.kind = TARGET_SANDBOX;
    p->is_verified = true;
    proxy_route(p);
}

void wake_find_signer(struct proxy *p)
{
    struct str unused;
    bool is_whole = true;
    static const char *const names[] = {"path", "username", "signature", "signature_expiration"};

    for (size_t i = 0; i < COUNT_OF(names); i++)
        is_whole = is_whole && parameter(p->x, names[i], &unused);
    if (is_whole)
        ask_start(&p->worker->routes.asks, &p->ask, WAKE_SIGNER_MS, send_signed, on_signer, p);
    else
        proxy_page(p, PAGE_SIGNATURE);
}

/* Sandboxes that do not run */

static void send_wake(void *ctx, struct link *link, uint64_t seq)
{
    struct proxy *p = ctx;
    struct route_wake m = {
        .seq = seq,
        .id = {p->target.id, p->target.id_len},
        .port = p->target.port,
        .access_token = http_field(exchange_head(p->x), "X-Access-Token"),
        .is_verified = p->is_verified,
    };

    ignore(link_send(link, ROUTE_WAKE, &m)); /* down: asked again; else the deadline */
}

static void on_awake(void *ctx, enum err_kind kind, const struct route_answer *answer)
{
    static const struct {
        enum err_kind kind;
        enum page_kind page;
    } pages[] = {
        {ERR_NOT_FOUND,   PAGE_NOT_FOUND    },
        {ERR_DENIED,      PAGE_RESUME_DENIED},
        {ERR_CONFLICT,    PAGE_PAUSED       },
        {ERR_LIMIT,       PAGE_TEAM_LIMIT   },
        {ERR_TIMEOUT,     PAGE_TRANSITION   },
        {ERR_UNAVAILABLE, PAGE_BUSY         },
    };
    struct proxy *p = ctx;
    struct traffic *t = &p->worker->traffic;

    if (kind == ERR_NONE) {
        t->woken++;
        proxy_route(p);
        return;
    }
    t->wake_failures++;
    if (kind == ERR_NOT_FOUND)
        routes_drop(&p->worker->routes, p->target.id);
    p->message = answer->text;
    for (size_t i = 0; i < COUNT_OF(pages); i++) {
        if (kind == pages[i].kind) {
            proxy_page(p, pages[i].page);
            return;
        }
    }
    proxy_page(p, PAGE_RESUME_FAILED);
}

/* A browser asks whether it may send a token before it sends one, so the question itself can show
 * none. envd says yes to all of them; so do we while it cannot. */
static bool is_preflight(const struct proxy *p)
{
    const struct http_head *h = exchange_head(p->x);

    return p->target.port == ENVD_PORT && str_is(h->method, "OPTIONS") &&
           http_field(h, "Access-Control-Request-Method").at != NULL;
}

static void answer_preflight(struct proxy *p)
{
    static const struct http_field fields[] = {
        {STR("Access-Control-Allow-Origin"),  STR("*")                                     },
        {STR("Access-Control-Allow-Methods"), STR("GET, POST, PUT, PATCH, DELETE, OPTIONS")},
        {STR("Access-Control-Allow-Headers"), STR("*, Authorization")                      },
    };
    struct exchange *x = p->x;
    struct reply r = {.status = 204, .fields = fields, .field_count = COUNT_OF(fields)};

    exchange_on_gone(x, NULL, NULL);
    p->status = r.status;
    proxy_note(p, "edge");
    exchange_start(x, &r);
    exchange_end(x);
    proxy_end(p);
}

void wake_sandbox(struct proxy *p, const struct route_entry *route)
{
    const struct http_head *h = exchange_head(p->x);
    uint64_t wait_ms = p->worker->config->transition_ms;

    if (route->state == ROUTE_PAUSED && !route->may_resume) {
        proxy_page(p, PAGE_PAUSED);
        return;
    }
    if (is_preflight(p)) {
        answer_preflight(p);
        return;
    }
    if (route->state == ROUTE_PAUSED || route->may_resume)
        wait_ms = p->worker->config->resume_ms;
    if (wait_ms == 0 || p->wakes++ >= WAKE_MAX) {
        proxy_page(p, PAGE_TRANSITION);
        return;
    }
    /* The right to resume is a signature where it is no token. */
    if (p->target.port == ENVD_PORT && !p->is_verified && is_signed(h) &&
        http_field(h, "X-Access-Token").at == NULL) {
        wake_find_signer(p);
        return;
    }
    ask_start(&p->worker->routes.asks, &p->ask, wait_ms, send_wake, on_awake, p);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Every request passes here first: route, who is asking, how much, how big. The columns of the
 * route table are enforced here and nowhere else; handlers never check policy. */
#include <stdio.h>

#include "api/api_internal.h"
#include "api/call.h"
#include "api/errors.h"
#include "api/push.h"

enum {
    PEER_GUESSES = 200, /* wrong credentials at once; half as many per second */
};

static const char key_docs[] = "https://e2b.dev/docs/api-key";

static void on_gone(void *ctx, struct exchange *x)
{
    struct call *c = ctx;

    ignore((long)(x == c->x));
    c->x = NULL;
    if (!c->is_running)
        call_free(c); /* otherwise its handler answers into the void and frees it */
}

static int refuse(struct call *c, unsigned status, const char *message)
{
    call_error(c, status, NULL, "%s", message);
    return -1;
}

int gate_check_rate(struct call *c, struct bucket *b, uint64_t rate)
{
    struct bucket_rule rule = {(double)rate, 2 * (double)rate};

    if (bucket_take(b, &rule, 1, loop_now_ms(c->api->loop)))
        return 0;
    call_too_fast(c, rate, bucket_wait_s(b, &rule, 1));
    return -1;
}

/* Who asks: edge says so of its clients. Whoever else reaches a unix socket of ours is root, and
 * is not counted. */
static struct str peer_of(struct exchange *x)
{
    struct str own = exchange_peer(x);

    return own.len > 0 ? own : http_field(exchange_head(x), "X-Sandlot-Peer");
}

static int check_peer(struct call *c)
{
    struct str peer = peer_of(c->x);

    if (peer.len == 0)
        return 0;
    return gate_check_rate(c, peers_get(&c->api->peers, peer), c->api->config.peer_rate_per_s);
}

/* PEER_GUESSES use up all that a peer may do. */
void gate_charge_guess(struct call *c)
{
    double rate = (double)c->api->config.peer_rate_per_s;
    struct bucket_rule rule = {rate, 2 * rate};
    struct str peer = peer_of(c->x);

    if (peer.len > 0)
        bucket_drain(peers_get(&c->api->peers, peer), &rule, rule.burst / PEER_GUESSES,
                     loop_now_ms(c->api->loop));
}

static int check_scope(struct call *c)
{
    bool is_get = str_is(exchange_head(c->x)->method, "GET");
    uint32_t need = c->route->scope;

    if (need == 0)
        need = is_get ? KEY_READ : KEY_WRITE;
    if ((c->scopes & need) != 0)
        return 0;
    call_error(c, 403, NULL, "this API key lacks the scope '%s'", key_scope_name(need));
    return -1;
}

static int check_team(struct call *c)
{
    const struct team_record *t = &c->team->r;
    struct str method = exchange_head(c->x)->method;

    if (t->is_banned)
        return refuse(c, 403, "team is banned");
    if (!t->is_blocked || str_is(method, "GET") || str_is(method, "DELETE"))
        return 0;
    if (t->block_reason.len == 0)
        return refuse(c, 403, "team is blocked");
    call_error(c, 403, NULL, "team is blocked: %.*s", STR_ARG(t->block_reason));
    return -1;
}

static int check_key(struct call *c, struct str text)
{
    static const char *const reasons[] = {
        [KEY_NOT_HEX] = "Invalid API key format",
        [KEY_UNKNOWN] = "Cannot get the team for the given API key",
    };
    enum key_fault fault = KEY_GOOD;
    struct key *k = key_check(c->api->domain, text, &fault);

    if (k != NULL) {
        c->team = k->team;
        ignore(snprintf(c->actor, sizeof(c->actor), "key:%.*s", STR_ARG(k->r.id)));
        c->scopes = key_scopes(k);
        if (gate_check_rate(c, &k->rate, c->api->config.key_rate_per_s) != 0)
            return -1;
        key_use(c->api->domain, k);
        return check_team(c) == 0 ? check_scope(c) : -1;
    }
    gate_charge_guess(c);
    key_refuse(c->api->domain, text);
    if (fault == KEY_MALFORMED)
        return refuse(c, 401, "authorization header is malformed");
    call_error(c, 401, NULL, "Invalid API key, please visit %s for more information.\n%s", key_docs,
               reasons[fault]);
    return -1;
}

static int check_admin(struct call *c, struct str token)
{
    const char *known = c->api->config.admin_token;

    if (known == NULL || known[0] == '\0' || !str_eq_secret(token, str_of(known))) {
        gate_charge_guess(c);
        return refuse(c, 401, "Invalid admin token");
    }
    c->is_admin = true;
    c->scopes = KEY_SCOPES_ALL;
    memcpy(c->actor, "admin", sizeof("admin"));
    return 0;
}

/* The team an operator acts for. */
static int choose_team(struct call *c)
{
    struct domain *d = c->api->domain;
    struct str name = http_field(exchange_head(c->x), "x-team-id");

    if (c->route->auth == AUTH_ADMIN)
        return 0;
    if (c->route->auth == AUTH_ADMIN_TEAM)
        name = call_param(c, 0);
    c->team = name.at == NULL ? team_default(d) : team_find(d, name);
    if (c->team != NULL)
        return 0;
    call_error(c, 404, NULL, "Team '%.*s' not found", STR_ARG(str_upto(name, 64)));
    return -1;
}

static int authenticate(struct call *c)
{
    const struct http_head *h = exchange_head(c->x);
    struct str admin = http_field(h, "x-admin-token"), key = http_field(h, "x-api-key");
    struct str bearer = http_field(h, "authorization"), rest;

    if (c->route->auth == AUTH_NONE)
        return 0;
    if (c->route->auth == AUTH_PUSH)
        return push_authenticate(c);
    if (admin.at != NULL)
        return check_admin(c, admin) == 0 ? choose_team(c) : -1;
    if (key.at == NULL && bearer.at == NULL)
        return refuse(c, 401, "authorization header is missing");
    if (c->route->auth != AUTH_TEAM)
        return refuse(c, 401, "Invalid admin token");
    if (key.at != NULL)
        return check_key(c, key);
    if (!str_ieq(str_cut(bearer, ' ', &rest), STR("bearer")) || rest.len == 0)
        return refuse(c, 401, "authorization header is malformed");
    return check_key(c, str_trim(rest));
}

static void on_body(void *ctx, struct exchange *x)
{
    struct call *c = ctx;
    struct domain *d = c->api->domain;

    ignore((long)(x == c->x));
    c->is_running = true;
    domain_act_as(d, str_of(c->actor));
    c->route->handler(c);
    domain_act_as(d, (struct str){0});
}

/* The route's limit, or the operator's if that is lower. */
static uint32_t body_max(const struct call *c)
{
    uint64_t all = c->api->config.body_max;

    return c->route->body_max < all ? c->route->body_max : (uint32_t)all;
}

static void on_too_large(void *ctx, struct exchange *x)
{
    struct call *c = ctx;

    ignore((long)(x == c->x));
    call_error(c, 413, NULL, "Request body is too large: at most %u bytes are accepted",
               body_max(c));
}

static bool is_preflight(const struct http_head *h)
{
    return str_is(h->method, "OPTIONS") && http_field(h, "origin").at != NULL &&
           http_field(h, "access-control-request-method").at != NULL;
}

static void answer_preflight(struct call *c)
{
    static const struct http_field fields[] = {
        {STR("Access-Control-Allow-Methods"), STR("GET, POST, PUT, PATCH, DELETE, OPTIONS")  },
        {STR("Access-Control-Allow-Headers"),
         STR("Authorization, Content-Type, X-API-Key, X-Team-ID, X-Admin-Token, browser, lang, "
             "lang_version, machine, os, package_version, processor, publisher, release, "
             "sdk_runtime, system, version, User-Agent, E2b-Sandbox-Id, E2b-Sandbox-Port, "
             "X-Access-Token, Connect-Protocol-Version, Connect-Timeout-Ms, Idempotency-Key")},
        {STR("Access-Control-Max-Age"),       STR("7200")                                    },
    };

    call_reply_fields(c, 204, (struct str){0}, fields, COUNT_OF(fields));
}

/* Once for all handlers, so that a broken escape never reads as an absent parameter. */
static int check_query(struct call *c)
{
    struct str query = exchange_head(c->x)->query;
    struct str copy = arena_str(exchange_arena(c->x), query);

    if (query.len > 0 &&
        (copy.at == NULL || url_decode(copy, true, (char *)(uintptr_t)copy.at) < 0))
        return refuse(c, 400, "validation error: the query string has a broken escape");
    return 0;
}

static int find_route(struct call *c)
{
    const struct http_head *h = exchange_head(c->x);

    switch (router_find(c->api->router, exchange_arena(c->x), h->method, h->path, &c->match)) {
    case ROUTE_FOUND: c->route = &routes[c->match.row]; return 0;
    case ROUTE_UNKNOWN: return refuse(c, 404, "Not found");
    case ROUTE_NOT_METHOD: return refuse(c, 405, "Method not allowed");
    case ROUTE_MALFORMED: break;
    }
    return refuse(c, 400, "Malformed path");
}

void gate_request(void *ctx, struct exchange *x)
{
    struct api *a = ctx;
    struct call *c = call_new(a, x);

    exchange_on_gone(x, on_gone, c);
    if (a->is_draining) {
        call_error(c, 503, "server_draining", "The server is shutting down, please retry shortly");
        return;
    }
    if (check_peer(c) != 0)
        return;
    if (is_preflight(exchange_head(x))) {
        answer_preflight(c);
        return;
    }
    if (find_route(c) != 0 || check_query(c) != 0)
        return;
    if (a->call_count > a->config.requests_max) {
        call_error(c, 429, "SERVER_OVERLOADED", "Too many requests at once, please retry");
        return;
    }
    if (authenticate(c) != 0)
        return;
    if (c->route->body_max == 0)
        on_body(c, x);
    else
        exchange_collect(x, body_max(c), on_body, on_too_large, c);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Life of a proxied request up to its upstream connection, and its end; see proxy.h. */
#include "edge/proxy.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "edge/forward.h"

static struct proxy *proxy_new(struct worker *w)
{
    struct list_node *spare = list_pop(&w->spare);
    struct proxy *p;

    if (spare == NULL) {
        p = mem_zero(sizeof *p);
    } else {
        p = container_of(spare, struct proxy, node);
        *p = (struct proxy){0};
        w->spare_count--;
    }
    p->worker = w;
    p->started_ms = loop_now_ms(w->loop);
    p->began_us = clock_mono_us();
    list_push(&w->active, &p->node);
    return p;
}

void proxy_end(struct proxy *p)
{
    struct worker *w = p->worker;

    routes_forget(&p->route_wait);
    ask_forget(&p->ask);
    dial_forget(&p->dial);
    timer_stop(&p->pause);
    timer_stop(&p->stall);
    counts_give(w->sandboxes, p->sandbox_slot);
    if (p->has_client)
        doors_leave(w, p->peer_slot);
    w->traffic.running[p->class]--;
    if (timer_running(&p->active)) {
        timer_stop(&p->active);
        routes_active(&w->routes, p->target.id); /* idle time starts now */
    }
    if (p->conn != NULL)
        http_conn_free(p->conn);
    list_remove(&p->node);
    if (w->spare_count >= PROXY_SPARE_MAX) {
        free(p);
        return;
    }
    list_push(&w->spare, &p->node);
    w->spare_count++;
}

void proxy_become(struct proxy *p, enum traffic_class class)
{
    p->worker->traffic.running[p->class]--;
    p->class = class;
    p->worker->traffic.running[p->class]++;
}

void proxy_note(struct proxy *p, const char *end)
{
    struct traffic_note n = {
        .class = p->class,
        .status = p->status,
        .bytes_in = p->bytes_in,
        .bytes_out = p->bytes_out,
        .took_us = clock_mono_us() - p->began_us,
        .sandbox_id = {p->target.id, p->target.id_len},
        .port = p->target.port,
        .request_id = p->request_id,
        .end = end,
    };

    traffic_note(&p->worker->traffic, p->x, &n);
}

size_t answer_page(struct exchange *x, enum page_kind kind, const struct page_facts *f)
{
    bool is_html = page_wants_html(exchange_head(x));
    /* Scripts of any origin may read why: envd allows the same, and nothing here is secret. */
    struct http_field fields[6] = {
        {STR("Content-Type"),                  str_of(is_html ? page_html_type : page_json_type)},
        {STR("Cache-Control"),                 STR("no-store")                                  },
        {STR("Access-Control-Allow-Origin"),   STR("*")                                         },
        {STR("Access-Control-Expose-Headers"), STR("Retry-After")                               },
    };
    struct reply r = {.status = page_status(kind, f), .fields = fields, .field_count = 4};
    size_t size;
    struct buf body;
    char seconds[12];

    buf_init(&body, PAGE_MAX);
    if (is_html)
        page_html(kind, f, &body);
    else
        page_json(kind, f, &body);
    if (!buf_ok(&body))
        buf_clear(&body); /* a path of monstrous length: the status says enough */
    if (page_retcode(kind) != NULL)
        fields[r.field_count++] =
            (struct http_field){STR("X-Cube-Retcode"), str_of(page_retcode(kind))};
    if (page_retry_s(kind) > 0) {
        ignore(snprintf(seconds, sizeof seconds, "%u", page_retry_s(kind)));
        fields[r.field_count++] = (struct http_field){STR("Retry-After"), str_of(seconds)};
    }
    r.length = (int64_t)body.len;
    exchange_start(x, &r);
    ignore(exchange_write(x, buf_str(&body)));
    exchange_end(x);
    size = body.len;
    buf_done(&body);
    return size;
}

void proxy_page(struct proxy *p, enum page_kind kind)
{
    struct exchange *x = p->x;
    struct page_facts f = {
        .sandbox_id = {p->target.id, p->target.id_len},
        .port = p->target.port,
        .path = exchange_head(x)->path,
        .gone_status = p->worker->config->gone_status,
        .limit = p->worker->config->sandbox_max,
        .message = p->message,
    };

    exchange_on_gone(x, NULL, NULL);
    p->status = page_status(kind, &f);
    proxy_note(p, "edge");
    ignore((long)answer_page(x, kind, &f)); /* pages are in no count of bytes */
    proxy_end(p);
}

/* The client's name for it, or one that no loop gives twice. */
static void name_request(struct proxy *p)
{
    struct worker *w = p->worker;
    struct str given = http_request_id(exchange_head(p->x));
    unsigned loops = edge_loops(w->config->loops);

    if (given.len == 0)
        given = str_of(arena_printf(exchange_arena(p->x), "%llx-%llu",
                                    (unsigned long long)clock_mono_us(),
                                    (unsigned long long)w->request_count++ * loops + w->index));
    p->request_id = given;
}

/* Never the query, as in api's line about those that it answers. */
static void log_unanswered(const struct proxy *p, unsigned status)
{
    const struct http_head *h = exchange_head(p->x);

    if (p->request_id.len > 0)
        log_warn("request", "id=%.*s method=%.*s path=\"%.*s\" status=%u took_us=%llu",
                 STR_ARG(p->request_id), STR_ARG(h->method), STR_ARG(str_upto(h->path, 512)),
                 status, (unsigned long long)(clock_mono_us() - p->began_us));
}

void proxy_api_error(struct proxy *p, unsigned status, const char *message)
{
    struct exchange *x = p->x;
    struct http_field fields[] = {
        {STR("Content-Type"),                  STR("application/json")         },
        {STR("Retry-After"),                   STR("1")                        },
        {STR("Access-Control-Allow-Origin"),   STR("*")                        },
        {STR("Access-Control-Expose-Headers"), STR("Retry-After, X-Request-Id")},
        {STR("X-Request-Id"),                  p->request_id                   },
    };
    struct reply r = {.status = status, .fields = fields, .field_count = COUNT_OF(fields)};
    char *text =
        arena_printf(exchange_arena(x), "{\"code\":%u,\"message\":\"%s\"}", status, message);

    if (p->request_id.len == 0)
        r.field_count--;
    log_unanswered(p, status);
    exchange_on_gone(x, NULL, NULL);
    r.length = (int64_t)str_of(text).len;
    p->status = status;
    proxy_note(p, "edge");
    exchange_start(x, &r);
    ignore(exchange_write(x, str_of(text)));
    exchange_end(x);
    proxy_end(p);
}

/* The client left: whatever runs for it stops. */
static void on_gone(void *ctx, struct exchange *x)
{
    struct proxy *p = ctx;

    ignore(x == p->x);
    proxy_note(p, "client");
    p->x = NULL;
    proxy_end(p);
}

/* Every port but envd's asks for the token of a private sandbox; envd has its own. */
static bool check_token(struct proxy *p, const struct route_entry *route)
{
    struct str given = http_field(exchange_head(p->x), "E2B-Traffic-Access-Token");

    if (route->traffic_token.len == 0 || p->target.port == ENVD_PORT)
        return true;
    if (given.len == 0) {
        proxy_page(p, PAGE_TOKEN_MISSING);
        return false;
    }
    if (!str_eq_secret(given, route->traffic_token)) {
        proxy_page(p, PAGE_TOKEN_WRONG);
        return false;
    }
    return true;
}

/* A stream of an hour is an hour of activity. */
static void report_active(void *ctx)
{
    struct proxy *p = ctx;

    routes_active(&p->worker->routes, p->target.id);
    timer_start(p->worker->loop, &p->active, PROXY_ACTIVE_MS, report_active, p);
}

static void with_route(struct proxy *p, const struct route_entry *route)
{
    struct worker *w = p->worker;

    if (!check_token(p, route))
        return;
    if (route->state != ROUTE_RUNNING) {
        wake_sandbox(p, route);
        return;
    }
    p->sandbox_slot = counts_take(w->sandboxes, route->id);
    if (p->sandbox_slot == COUNT_FULL) {
        w->traffic.refused_sandboxes++;
        proxy_page(p, PAGE_FULL);
        return;
    }
    if (route->is_idle)
        report_active(p);
    if (route->mask_host.len > 0 && p->target.port != ENVD_PORT)
        p->mask_host = forward_mask(exchange_arena(p->x), route->mask_host, p->target.port);
    upstream_connect(p);
}

static void on_route(void *ctx, enum route_outcome outcome, const struct route_entry *route)
{
    struct proxy *p = ctx;

    if (outcome == ROUTE_IS_THERE)
        with_route(p, route);
    else
        proxy_page(p, outcome == ROUTE_IS_MISSING ? PAGE_NOT_FOUND : PAGE_BUSY);
}

void proxy_route(struct proxy *p)
{
    const struct route_entry *route = routes_get(&p->worker->routes, p->target.id);

    if (route != NULL)
        with_route(p, route);
    else
        routes_ask(&p->worker->routes, &p->route_wait, p->target.id, on_route, p);
}

void proxy_start(struct worker *w, struct exchange *x, const struct target *t)
{
    struct proxy *p = proxy_new(w);

    p->x = x;
    p->target = *t;
    p->class = traffic_class_of(t);
    w->traffic.running[p->class]++;
    exchange_on_gone(x, on_gone, p);
    if (t->kind == TARGET_CONTROL && w->config->names_requests)
        name_request(p);
    if (t->kind == TARGET_CONTROL)
        upstream_connect(p);
    else if (t->kind == TARGET_SIGNED)
        wake_find_signer(p);
    else
        proxy_route(p);
}

void proxy_cut_all(struct worker *w)
{
    struct list_node *n;

    while ((n = list_first(&w->active)) != NULL) {
        struct proxy *p = container_of(n, struct proxy, node);

        if (p->tunnel != NULL)
            relay_abort(p->tunnel);
        if (p->x != NULL) {
            exchange_on_gone(p->x, NULL, NULL);
            exchange_abort(p->x);
        }
        proxy_end(p);
    }
    while ((n = list_pop(&w->spare)) != NULL)
        free(container_of(n, struct proxy, node));
    w->spare_count = 0;
}

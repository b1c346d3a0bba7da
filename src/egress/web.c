/* SPDX-License-Identifier: Apache-2.0 */
/* See web.h: the connection of the sandbox, its requests one after the other. What happens with one
 * of them on its way out and back: web_call.c. */
#include <errno.h>
#include <sys/socket.h>

#include "base/log.h"
#include "egress/web_internal.h"

static const struct http_limits limits = {
    .head_ms = 30 * 1000,
    .idle_ms = 300 * 1000,
    .connections_max = 1,
};

/* Closing it is a reset: it must not look like an end. */
static void set_reset(struct web *w)
{
    const struct linger at_once = {.l_onoff = 1};

    if (w->server != NULL && http_server_connections(w->server) > 0)
        ignore(setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)));
}

void web_free(struct web *w)
{
    if (w == NULL)
        return;
    timer_stop(&w->end);
    pace_leave(&w->pause_up);
    pace_leave(&w->pause_down);
    relay_abort(w->tunnel);
    reach_free(w->reach);
    tls_close(w->shaking);
    tls_close(w->shaking_out);
    http_conn_free(w->conn);
    if (w->server != NULL) {
        http_server_on_close(w->server, NULL, NULL);
        set_reset(w);
        if (w->x != NULL) {
            exchange_on_gone(w->x, NULL, NULL);
            exchange_abort(w->x);
        }
        http_server_free(w->server);
    }
    free(w);
}

static void on_end(void *ctx)
{
    struct web *w = ctx;
    loop_fn *fn = w->on_end;
    void *end_ctx = w->ctx;

    web_free(w);
    fn(end_ctx);
}

void web_end_soon(struct web *w)
{
    if (!timer_running(&w->end))
        timer_start(w->outlet->egress->loop, &w->end, 0, on_end, w);
}

static void on_close(void *ctx, unsigned tag)
{
    struct web *w = ctx;

    ignore((long)tag);
    w->x = NULL;
    web_end_soon(w);
}

static void on_gone(void *ctx, struct exchange *x)
{
    struct web *w = ctx;

    ignore(x == NULL);
    w->x = NULL;
    web_call_drop(w);
}

/* `why` is one of ours, or of the way: never of what the request held. */
static void record(struct web *w, bool is_denied, const char *why)
{
    w->counts->refused++;
    audit_tell(w->outlet, &(struct audit_note){.protocol = "http",
                                               .to = &w->to,
                                               .name = w->host,
                                               .rule = is_denied ? why : NULL,
                                               .detail = is_denied ? NULL : why,
                                               .is_denied = is_denied});
}

void web_refuse(struct web *w, unsigned status, const char *why)
{
    struct exchange *x = take_ptr(&w->x);
    struct buf body;

    record(w, status < 500, why);
    log_debug("egress.request_refused", "id=%s name=\"%s\" status=%u rule=\"%s\"", w->outlet->id,
              w->host, status, why);
    buf_init(&body, WEB_TEXT_MAX);
    buf_printf(&body, "sandbox egress: %s\n", why);
    exchange_on_gone(x, NULL, NULL);
    exchange_reply(x, status, "text/plain", buf_str(&body));
    buf_done(&body);
}

static bool is_by_name(const struct web *w)
{
    return outlet_goes_by_name(w->outlet, &w->to);
}

void web_cut(struct web *w, const char *why)
{
    struct exchange *x = take_ptr(&w->x);

    record(w, true, why);
    log_debug("egress.denied", "id=%s name=\"%s\" rule=\"%s\"", w->outlet->id, w->host, why);
    set_reset(w);
    exchange_on_gone(x, NULL, NULL);
    exchange_abort(x);
}

static void on_request(void *ctx, struct exchange *x)
{
    struct web *w = ctx;
    const struct http_head *h = exchange_head(x);
    const struct egress_rule *rule;

    w->x = x;
    w->counts->requests++;
    w->host[0] = '\0';
    exchange_on_gone(x, on_gone, w);
    if (!host_name_is_good(h->host) || !str_to_c(h->host, w->host, sizeof(w->host))) {
        web_refuse(w, 400, "the request names no host");
        return;
    }
    if (w->is_tls && !str_ieq(h->host, str_of(w->name))) {
        web_refuse(w, 421, "the request names another host than its TLS connection");
        return;
    }
    if (is_by_name(w) && !outlet_allows_name(w->outlet, &w->to, h->host)) {
        web_cut(w, "not in allowOut");
        return;
    }
    rule = rules_find(&w->outlet->policy.rules, h->host);
    if (rule != NULL && !rules_allow(rule, h->method, h->path))
        web_refuse(w, 403, "the rules of this host do not let the request pass");
    else
        web_call(w, rule);
}

static void serve(struct web *w, int fd, struct transport *over)
{
    struct err err;

    if (http_server_new(w->outlet->egress->loop, &limits, on_request, w, &w->server, &err) != 0) {
        own_close_fd(&fd);
        if (over != NULL)
            over->ops->close(over);
        web_end_soon(w);
        return;
    }
    w->fd = over != NULL ? over->fd : fd;
    http_server_on_close(w->server, on_close, w);
    if (over != NULL)
        http_server_adopt_over(w->server, over, 0);
    else
        http_server_adopt(w->server, fd, 0);
}

static void on_shaken(void *ctx, struct tls *t, const struct err *err)
{
    struct web *w = ctx;

    w->shaking = NULL;
    if (err == NULL) {
        serve(w, -1, tls_transport(t));
        return;
    }
    log_debug("egress.tls_failed", "id=%s name=\"%s\" error=\"%s\"", w->outlet->id, w->name,
              err->text);
    tls_close(t);
    web_end_soon(w);
}

void web_start(struct outlet *o, const struct web_spec *spec, loop_fn *on_end_fn, void *ctx,
               struct web **out)
{
    struct web *w = mem_zero(sizeof(*w));
    const struct tls_spec shake = {
        .fd = spec->fd, .context = vault_server(o->vault), .fn = on_shaken, .ctx = w};

    w->outlet = o;
    w->is_tls = spec->is_tls;
    w->to = spec->to;
    w->counts = spec->counts;
    w->on_end = on_end_fn;
    w->ctx = ctx;
    ignore(str_to_c(str_of(spec->name), w->name, sizeof(w->name))); /* good names fit */
    *out = w;
    if (!w->is_tls)
        serve(w, spec->fd, NULL);
    else if (tls_open(o->egress->loop, &shake, &w->shaking, NULL) != 0)
        web_end_soon(w);
}

bool web_is_allowed(const struct web *w)
{
    const char *name = w->host[0] != '\0' ? w->host : w->name;

    if (is_by_name(w))
        return outlet_allows_name(w->outlet, &w->to, str_of(name));
    return outlet_check(w->outlet, &w->to) == 0;
}

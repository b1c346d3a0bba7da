/* SPDX-License-Identifier: Apache-2.0 */
/* The route cache of one loop; see routes.h. */
#include "edge/routes.h"

static void entry_free(struct routes *r, struct route_entry *e)
{
    map_remove(&r->by_id, e->id);
    list_remove(&e->node);
    free(e);
}

static struct str keep(char **at, struct str text)
{
    struct str kept = {*at, text.len};

    if (text.len > 0)
        memcpy(*at, text.at, text.len);
    *at += text.len;
    return kept;
}

static struct route_entry *entry_put(struct routes *r, const struct route *in)
{
    struct route_entry *old = map_get(&r->by_id, in->id);
    struct route_entry *e;
    char *at;

    if (old != NULL)
        entry_free(r, old);
    while (r->by_id.count >= ROUTES_MAX)
        entry_free(r, container_of(list_first(&r->by_use), struct route_entry, node));
    e = mem_zero(sizeof *e + in->id.len + in->traffic_token.len + in->mask_host.len);
    at = e->text;
    e->state = in->state;
    e->is_idle = in->is_idle;
    e->may_resume = in->may_resume;
    e->generation = r->generation;
    e->id = keep(&at, in->id);
    e->traffic_token = keep(&at, in->traffic_token);
    e->mask_host = keep(&at, in->mask_host);
    map_put(&r->by_id, e->id, e);
    list_push(&r->by_use, &e->node);
    return e;
}

void routes_forget(struct route_wait *w)
{
    if (w->fn == NULL)
        return;
    w->fn = NULL;
    timer_stop(&w->deadline);
    list_remove(&w->node);
    w->routes->waiting_count--;
}

static void answer(struct route_wait *w, enum route_outcome outcome, const struct route_entry *e)
{
    route_fn *fn = w->fn;

    routes_forget(w);
    fn(w->ctx, outcome, e);
}

/* Callbacks may end other waiters, so the list is walked from its start each time. */
static void answer_all(struct routes *r, struct str id, enum route_outcome outcome)
{
    struct list_node *n = list_first(&r->waiting);

    while (n != NULL) {
        struct route_wait *w = container_of(n, struct route_wait, node);

        if (!str_is(id, w->id)) {
            n = list_next(&r->waiting, n);
            continue;
        }
        answer(w, outcome, map_get(&r->by_id, id));
        n = list_first(&r->waiting);
    }
}

static bool is_sane(const struct route *in)
{
    return in->id.len > 0 && in->id.len <= TARGET_ID_MAX &&
           in->traffic_token.len <= ROUTE_TOKEN_MAX && in->mask_host.len <= ROUTE_TOKEN_MAX;
}

static void put(struct routes *r, const struct route *in)
{
    if (!is_sane(in))
        return;
    entry_put(r, in);
    if (in->state != ROUTE_RUNNING)
        r->on_gone(r->ctx, in->id);
    answer_all(r, in->id, ROUTE_IS_THERE);
}

static void gone(struct routes *r, const struct route_lookup *in)
{
    struct route_entry *e = map_get(&r->by_id, in->id);

    if (e != NULL)
        entry_free(r, e);
    r->on_gone(r->ctx, in->id);
    answer_all(r, in->id, ROUTE_IS_MISSING);
}

/* What api does not know any more. */
static void drop_older(struct routes *r)
{
    size_t cursor = 0;
    struct route_entry *e;

    while ((e = map_next(&r->by_id, &cursor)) != NULL) {
        if (e->generation == r->generation)
            continue;
        r->on_gone(r->ctx, e->id);
        entry_free(r, e);
    }
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct routes *r = ctx;

    own_close_fd(&fd); /* no message of this protocol carries one */
    if (type == ROUTE_FOUND || type == ROUTE_PUT)
        put(r, message);
    else if (type == ROUTE_MISSING || type == ROUTE_GONE)
        gone(r, message);
    else if (type == ROUTE_AWAKE || type == ROUTE_SIGNER)
        asks_answer(&r->asks, message);
    else if (type == ROUTE_SNAPSHOT)
        r->generation++;
    else if (type == ROUTE_COMPLETE)
        drop_older(r);
}

static void send_lookup(struct routes *r, const char *id)
{
    struct route_lookup ask = {.seq = ++r->next_seq, .id = str_of(id)};

    ignore(
        link_send(&r->link, ROUTE_LOOKUP, &ask)); /* down: on_up asks; else the deadline ends it */
}

static void on_up(void *ctx)
{
    struct routes *r = ctx;

    for (struct list_node *n = list_first(&r->waiting); n != NULL; n = list_next(&r->waiting, n))
        send_lookup(r, container_of(n, struct route_wait, node)->id);
    asks_again(&r->asks);
}

void routes_start(struct routes *r, struct loop *l, const char *path,
                  void (*on_gone)(void *ctx, struct str id), void *ctx)
{
    struct link_spec spec = {path, &route_protocol, on_message, on_up, r};

    *r = (struct routes){.loop = l, .on_gone = on_gone, .ctx = ctx};
    asks_init(&r->asks, l, &r->link);
    link_start(&r->link, l, &spec);
}

void routes_stop(struct routes *r)
{
    struct list_node *n;

    link_stop(&r->link);
    while ((n = list_first(&r->by_use)) != NULL)
        entry_free(r, container_of(n, struct route_entry, node));
    map_done(&r->by_id);
    asks_done(&r->asks);
}

const struct route_entry *routes_get(struct routes *r, const char *id)
{
    struct route_entry *e = map_get(&r->by_id, str_of(id));

    if (e == NULL || (e->generation != r->generation && link_is_up(&r->link)))
        return NULL;
    list_remove(&e->node);
    list_push(&r->by_use, &e->node);
    return e;
}

static void on_deadline(void *ctx)
{
    answer(ctx, ROUTE_NO_ANSWER, NULL);
}

void routes_ask(struct routes *r, struct route_wait *w, const char *id, route_fn *fn, void *ctx)
{
    bool is_full = r->waiting_count >= ROUTE_WAITERS_MAX;

    w->fn = fn;
    w->ctx = ctx;
    w->routes = r;
    w->id = id;
    timer_start(r->loop, &w->deadline, is_full ? 0 : ROUTE_WAIT_MS, on_deadline, w);
    list_push(&r->waiting, &w->node);
    r->waiting_count++;
    if (!is_full)
        send_lookup(r, id);
}

void routes_active(struct routes *r, const char *id)
{
    struct route_entry *e = map_get(&r->by_id, str_of(id));
    struct route_lookup report = {.id = str_of(id)};
    uint64_t now = loop_now_ms(r->loop);

    if (e == NULL || !e->is_idle || (e->active_ms != 0 && now - e->active_ms < ROUTE_ACTIVE_MS))
        return;
    if (link_send(&r->link, ROUTE_ACTIVE, &report))
        e->active_ms = now; /* otherwise the next one tries again */
}

void routes_drop(struct routes *r, const char *id)
{
    struct route_entry *e = map_get(&r->by_id, str_of(id));

    if (e != NULL)
        entry_free(r, e);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Loops of the edge role and what each does with a request; see edge.h. */
#include "edge/edge.h"

#include <sched.h>
#include <stdatomic.h>

#include "base/id.h"
#include "edge/proxy.h"

enum {
    COUNTERS_MS = 2 * 1000, /* between two reports to api */
    TAG_PLANE = 3,          /* the part of a tag that is a plane */
    TICKET_MS = 12 * 60 * 60 * 1000,
};

struct edge {
    struct edge_config config;
    struct counts peers, sandboxes;
    uint8_t ticket_keys[TLS_TICKET_KEYS]; /* written by loop 0, while no other has to read them */
    _Atomic size_t renewing;              /* loops that have not taken the last ones yet */
    struct timer renewal;
    struct loop *loop;
    struct worker *workers;
    size_t count;
    size_t draining; /* loops that have not reported yet */
    loop_fn *on_drained, *on_left;
    void *drained_ctx, *left_ctx;
    /* Of all loops: once all are shut no connection is added, not even by one of them to another.
     */
    _Atomic uint32_t load, shut;
    _Atomic bool is_left;
    struct letter left;
};

static void count(struct worker *w, enum target_kind kind)
{
    if (kind == TARGET_CONTROL)
        w->counters.control++;
    else if (kind == TARGET_SANDBOX || kind == TARGET_SIGNED)
        w->counters.sandbox++;
    else
        w->counters.refused++;
}

static void on_counting(void *ctx)
{
    struct worker *w = ctx;

    timer_start(w->loop, &w->counting, COUNTERS_MS, on_counting, w);
    traffic_report(&w->traffic, &w->counters);
    w->counters.connections = http_server_connections(w->server);
    w->counters.routes = w->routes.by_id.count;
    ignore(
        link_send(&w->routes.link, ROUTE_COUNTERS, &w->counters)); /* away: the next one counts */
}

static bool is_alone(const struct worker *w)
{
    uint64_t running = 0;

    for (size_t i = 0; i < TRAFFIC_TUNNEL; i++)
        running += w->traffic.running[i];
    return running == 0;
}

static void on_request(void *ctx, struct exchange *x)
{
    struct worker *w = ctx;
    const struct http_head *h = exchange_head(x);
    struct page_facts facts = {.path = h->path};
    struct traffic_note note = {.class = TRAFFIC_REFUSED, .status = 400, .end = "edge"};
    struct target t;

    if (is_alone(w))
        place_follow(&w->place, x, loop_now_ms(w->loop));
    target_of(h, &w->rules[exchange_tag(x) & TAG_PLANE], &t);
    count(w, t.kind);
    if (t.kind == TARGET_BAD) {
        traffic_note(&w->traffic, x, &note);
        exchange_reply(x, 400, "text/plain; charset=utf-8", str_of(t.why));
    } else if (t.kind == TARGET_SANDBOX &&
               target_is_private(t.port, str_from(h->path, t.prefix_len))) {
        note.status = page_status(PAGE_PRIVATE, &facts);
        traffic_note(&w->traffic, x, &note);
        facts.path = str_from(h->path, t.prefix_len);
        ignore((long)answer_page(x, PAGE_PRIVATE, &facts));
    } else {
        proxy_start(w, x, &t);
    }
}

static void on_close(void *ctx, unsigned tag)
{
    struct worker *w = ctx;

    if ((tag & TAG_STREAM) == 0) /* its connection was counted, and will leave */
        doors_leave(w, tag >> TAG_BITS);
}

static void on_route_gone(void *ctx, struct str id)
{
    struct worker *w = ctx;

    pool_drop(&w->pool, id);
}

/* The loops share the keys of tickets, so that any of them resumes what another began. */
static int open_entry(struct worker *w, struct err *err)
{
    const struct edge_config *c = w->config;
    const struct entry_config config = {
        .certificates = c->certificates,
        .is_tls_only = c->is_tls_only,
        .is_1_3_only = c->is_tls_1_3_only,
        .has_h2 = c->has_h2,
        .ticket_keys = w->edge->ticket_keys,
    };

    if (entry_open(&w->entry, w->loop, &config, &c->limits, w->server, err) != 0)
        return -1;
    w->entry.certs.has_log = w->index == 0;
    entry_on_close(&w->entry, on_close, w);
    return 0;
}

static int worker_open(struct worker *w, struct edge *e, size_t index, struct err *err)
{
    const struct edge_config *c = &e->config;

    w->edge = e;
    w->index = index;
    w->siblings = e->workers;
    w->sibling_count = e->count;
    w->config = c;
    w->peers = &e->peers;
    w->sandboxes = &e->sandboxes;
    for (size_t i = 0; i < COUNT_OF(w->rules); i++)
        w->rules[i] = (struct target_rule){str_of(c->domain), c->has_paths, (enum target_plane)i};
    if (index == 0)
        w->loop = e->loop;
    else if (loop_new(&w->loop, err) != 0)
        return -1;
    if (http_server_new(w->loop, &c->limits, on_request, w, &w->server, err) != 0)
        return -1;
    if (open_entry(w, err) != 0)
        return -1;
    traffic_init(&w->traffic, w->loop, c->has_access_log);
    pool_init(&w->pool, w->loop);
    routes_start(&w->routes, w->loop, c->routes_socket, on_route_gone, w);
    dialer_start(&w->dialer, w->loop, c->dial_socket);
    timer_start(w->loop, &w->counting, 0, on_counting, w);
    return doors_open(w, err);
}

static void worker_close(struct worker *w)
{
    timer_stop(&w->counting);
    doors_done(w);
    if (w->server != NULL) {
        proxy_cut_all(w);
        entry_close(&w->entry);
        http_server_free(w->server);
        routes_stop(&w->routes);
        dialer_stop(&w->dialer);
        pool_done(&w->pool);
        traffic_done(&w->traffic);
    }
    if (w->loop != NULL && w->loop != w->edge->loop)
        loop_free(w->loop);
}

static void *run(void *arg)
{
    struct worker *w = arg;
    struct err err;

    if (loop_run(w->loop, &err) != 0)
        abort(); /* epoll itself failed: the supervisor starts a new edge */
    return NULL;
}

unsigned edge_loops(unsigned configured)
{
    cpu_set_t cpus;
    unsigned count = configured;

    if (count == 0)
        count = sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? (unsigned)CPU_COUNT(&cpus) : 1;
    return count < EDGE_LOOPS_MAX ? count : EDGE_LOOPS_MAX;
}

static int open_all(struct edge *e, struct err *err)
{
    for (size_t i = 0; i < e->count; i++) {
        if (worker_open(&e->workers[i], e, i, err) != 0)
            return -1;
    }
    for (size_t i = 1; i < e->count; i++) {
        int failure = pthread_create(&e->workers[i].thread, NULL, run, &e->workers[i]);

        if (failure != 0)
            return err_sys(err, failure, "start loop %zu of edge", i);
        e->workers[i].has_thread = true;
    }
    return 0;
}

/* Who comes to read our memory one day shall not read with it what was said before. */

static void take_keys(void *ctx)
{
    struct worker *w = ctx;

    entry_renew_tickets(&w->entry);
    atomic_fetch_sub(&w->edge->renewing, 1);
}

static void on_renewal(void *ctx)
{
    struct edge *e = ctx;

    timer_start(e->loop, &e->renewal, e->config.ticket_ms, on_renewal, e);
    if (atomic_load(&e->renewing) > 0)
        return; /* a loop is that far behind: next time */
    id_random(e->ticket_keys, sizeof e->ticket_keys);
    atomic_store(&e->renewing, e->count);
    for (size_t i = 0; i < e->count; i++)
        loop_post(e->workers[i].loop, &e->workers[i].renewal, take_keys, &e->workers[i]);
}

int edge_new(struct loop *l, const struct edge_config *config, struct edge **out, struct err *err)
{
    struct edge *e;
    unsigned loops = edge_loops(config->loops);

    if (config->listen_count == 0 || config->listen_count > loops || config->data_count > loops)
        return err_set(err, ERR_INVALID, "%zu and %zu listening sockets for %u loops",
                       config->listen_count, config->data_count, loops);
    e = mem_zero(sizeof *e);
    e->config = *config;
    e->loop = l;
    e->count = loops;
    id_random(e->ticket_keys, sizeof e->ticket_keys);
    counts_init(&e->peers, config->peer_max);
    counts_init(&e->sandboxes, config->sandbox_max);
    e->workers = mem_array(loops, sizeof *e->workers);
    for (size_t i = 0; i < loops; i++)
        doors_init(&e->workers[i].doors);
    if (open_all(e, err) != 0) {
        edge_free(e);
        return -1;
    }
    e->config.ticket_ms = config->ticket_ms > 0 ? config->ticket_ms : TICKET_MS;
    timer_start(l, &e->renewal, e->config.ticket_ms, on_renewal, e);
    *out = e;
    return 0;
}

/* Draining: each loop reports to the caller's when its last request has ended. */

static void on_report(void *ctx)
{
    struct worker *w = ctx;
    struct edge *e = w->edge;

    if (--e->draining == 0)
        e->on_drained(e->drained_ctx);
}

static void on_drained(void *ctx)
{
    struct worker *w = ctx;

    loop_post(w->edge->loop, &w->reply, on_report, w);
}

static void drain_worker(void *ctx)
{
    struct worker *w = ctx;

    doors_shut(w);
    entry_drain(&w->entry);
    http_server_drain(w->server, on_drained, w);
}

void edge_drain(struct edge *e, loop_fn *on_done, void *ctx)
{
    e->on_drained = on_done;
    e->drained_ctx = ctx;
    e->draining = e->count;
    for (size_t i = 0; i < e->count; i++)
        loop_post(e->workers[i].loop, &e->workers[i].order, drain_worker, &e->workers[i]);
}

/* Retiring: whoever shuts the last door or lets the last connection go reports, once. */

static void on_left(void *ctx)
{
    struct edge *e = ctx;

    e->on_left(e->left_ctx);
}

static void check_left(struct edge *e)
{
    if (atomic_load(&e->shut) == e->count && atomic_load(&e->load) == 0 &&
        !atomic_exchange(&e->is_left, true))
        loop_post(e->loop, &e->left, on_left, e);
}

void worker_entered(struct worker *w)
{
    atomic_fetch_add(&w->edge->load, 1);
}

void worker_left(struct worker *w)
{
    atomic_fetch_sub(&w->edge->load, 1);
    check_left(w->edge);
}

static void retire_worker(void *ctx)
{
    struct worker *w = ctx;

    doors_shut(w);
    entry_retire(&w->entry);
    http_server_retire(w->server);
    atomic_fetch_add(&w->edge->shut, 1);
    check_left(w->edge);
}

void edge_retire(struct edge *e, loop_fn *on_done, void *ctx)
{
    e->on_left = on_done;
    e->left_ctx = ctx;
    for (size_t i = 0; i < e->count; i++)
        loop_post(e->workers[i].loop, &e->workers[i].retirement, retire_worker, &e->workers[i]);
}

static void stop_worker(void *ctx)
{
    struct worker *w = ctx;

    loop_stop(w->loop);
}

void edge_free(struct edge *e)
{
    struct letter *stops;

    if (e == NULL)
        return;
    atomic_store(&e->is_left, true); /* nobody is told any more */
    timer_stop(&e->renewal);
    stops = mem_array(e->count, sizeof *stops);
    for (size_t i = 0; i < e->count; i++) {
        struct worker *w = &e->workers[i];

        if (!w->has_thread)
            continue;
        loop_post(w->loop, &stops[i], stop_worker, w);
        ignore(pthread_join(w->thread, NULL)); /* fails for no thread we started */
    }
    for (size_t i = 0; i < e->count; i++)
        worker_close(&e->workers[i]);
    counts_done(&e->peers);
    counts_done(&e->sandboxes);
    free(stops);
    free(e->workers);
    free(e);
}

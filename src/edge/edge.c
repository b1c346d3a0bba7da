/* SPDX-License-Identifier: Apache-2.0 */
/* Loops of the edge role and what each does with a request; see edge.h. */
#include "edge/edge.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "edge/proxy.h"

enum {
    COUNTERS_MS = 5 * 1000, /* between two reports to api */
};

struct edge {
    struct edge_config config;
    struct loop *loop;
    struct worker *workers;
    size_t count;
    size_t draining;
    loop_fn *on_done;
    void *ctx;
};

static void count(struct worker *w, enum target_kind kind)
{
    if (kind == TARGET_CONTROL)
        w->counters.control++;
    else if (kind == TARGET_SANDBOX)
        w->counters.sandbox++;
    else
        w->counters.refused++;
}

static void on_counting(void *ctx)
{
    struct worker *w = ctx;

    timer_start(w->loop, &w->counting, COUNTERS_MS, on_counting, w);
    w->counters.connections = http_server_connections(w->server);
    w->counters.routes = w->routes.by_id.count;
    ignore(
        link_send(&w->routes.link, ROUTE_COUNTERS, &w->counters)); /* away: the next one counts */
}

static void on_request(void *ctx, struct exchange *x)
{
    struct worker *w = ctx;
    const struct http_head *h = exchange_head(x);
    struct page_facts facts = {.path = h->path};
    struct target t;

    target_of(h, w->domain, &t);
    count(w, t.kind);
    switch (t.kind) {
    case TARGET_BAD: exchange_reply(x, 400, "text/plain; charset=utf-8", str_of(t.why)); return;
    case TARGET_SIGNED: answer_page(x, PAGE_SIGNED, &facts); return;
    case TARGET_SANDBOX:
        if (target_is_private(t.port, h->path)) {
            answer_page(x, PAGE_PRIVATE, &facts);
            return;
        }
        break;
    case TARGET_CONTROL: break;
    }
    proxy_start(w, x, &t);
}

static void on_accept(void *ctx, int fd)
{
    struct worker *w = ctx;

    socket_no_delay(fd);
    http_server_adopt(w->server, fd, 0);
}

static void on_route_gone(void *ctx, struct str id)
{
    struct worker *w = ctx;

    pool_drop(&w->pool, id);
}

static int listen_fd(const struct edge_config *c, size_t index, struct err *err)
{
    int fd;

    if (index < c->listen_count)
        return c->listen_fds[index];
    fd = fcntl(c->listen_fds[index % c->listen_count], F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return err_sys(err, errno, "share the listening socket");
    return fd;
}

static int worker_open(struct worker *w, struct edge *e, size_t index, struct err *err)
{
    const struct edge_config *c = &e->config;
    int fd;

    w->edge = e;
    w->config = c;
    w->domain = str_of(c->domain);
    if (index == 0)
        w->loop = e->loop;
    else if (loop_new(&w->loop, err) != 0)
        return -1;
    if (http_server_new(w->loop, &c->limits, on_request, w, &w->server, err) != 0)
        return -1;
    pool_init(&w->pool, w->loop);
    routes_start(&w->routes, w->loop, c->routes_socket, on_route_gone, w);
    dialer_start(&w->dialer, w->loop, c->dial_socket);
    fd = listen_fd(c, index, err);
    if (fd < 0 || listener_start(&w->listener, w->loop, fd, on_accept, w, err) != 0)
        return -1;
    w->is_listening = true;
    timer_start(w->loop, &w->counting, 0, on_counting, w);
    return 0;
}

static void stop_listening(struct worker *w)
{
    if (w->is_listening)
        listener_stop(&w->listener);
    w->is_listening = false;
}

static void worker_close(struct worker *w)
{
    timer_stop(&w->counting);
    stop_listening(w);
    if (w->server != NULL) {
        proxy_cut_all(w);
        http_server_free(w->server);
        routes_stop(&w->routes);
        dialer_stop(&w->dialer);
        pool_done(&w->pool);
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

int edge_new(struct loop *l, const struct edge_config *config, struct edge **out, struct err *err)
{
    struct edge *e;
    unsigned loops = edge_loops(config->loops);

    if (config->listen_count == 0 || config->listen_count > loops)
        return err_set(err, ERR_INVALID, "%zu listening sockets for %u loops", config->listen_count,
                       loops);
    e = mem_zero(sizeof *e);
    e->config = *config;
    e->loop = l;
    e->count = loops;
    e->workers = mem_array(loops, sizeof *e->workers);
    if (open_all(e, err) != 0) {
        edge_free(e);
        return -1;
    }
    *out = e;
    return 0;
}

/* Draining: each loop reports to the caller's when its last request has ended. */

static void on_report(void *ctx)
{
    struct worker *w = ctx;
    struct edge *e = w->edge;

    if (--e->draining == 0)
        e->on_done(e->ctx);
}

static void on_drained(void *ctx)
{
    struct worker *w = ctx;

    loop_post(w->edge->loop, &w->report, on_report, w);
}

static void drain_worker(void *ctx)
{
    struct worker *w = ctx;

    stop_listening(w);
    http_server_drain(w->server, on_drained, w);
}

void edge_drain(struct edge *e, loop_fn *on_done, void *ctx)
{
    e->on_done = on_done;
    e->ctx = ctx;
    e->draining = e->count;
    for (size_t i = 0; i < e->count; i++)
        loop_post(e->workers[i].loop, &e->workers[i].order, drain_worker, &e->workers[i]);
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
    free(stops);
    free(e->workers);
    free(e);
}

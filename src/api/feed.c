/* SPDX-License-Identifier: Apache-2.0 */
/* One channel per edge loop. A peer that does not read is dropped: it then knows that what it has
 * cached is stale. Called by api.c and, as a hook, by the domain. */
#include "api/feed.h"

#include "domain/sandbox.h"
#include "io/socket.h"
#include "ipc/route_messages.h"

struct feed {
    struct loop *loop;
    struct domain *domain; /* NULL until feed_serve() */
    struct listener listener;
    bool is_listening;
    struct list peers;
    size_t peer_count;
};

struct peer {
    struct list_node node;
    struct feed *feed;
    struct channel *channel;
    struct route_counters counters; /* as this loop of an edge told them last */
    struct task closer;             /* a peer that failed while we were sending to it */
};

static void peer_free(struct peer *p)
{
    task_cancel(&p->closer);
    list_remove(&p->node);
    p->feed->peer_count--;
    channel_free(p->channel);
    free(p);
}

static void on_close(void *ctx)
{
    peer_free(ctx);
}

static void peer_send(struct peer *p, unsigned type, const void *message)
{
    if (channel_send(p->channel, type, message, -1, NULL) != 0)
        task_defer(p->feed->loop, &p->closer, on_close, p);
}

static uint32_t route_of(const struct sandbox *s)
{
    return s == NULL ? 0 : sandbox_state_row(s->state)->route;
}

static struct route describe(const struct sandbox *s, uint64_t seq)
{
    return (struct route){
        .seq = seq,
        .id = s->r.id,
        .state = route_of(s),
        .traffic_token = s->r.traffic_token,
        .mask_host = s->r.mask_host,
        .is_idle = s->r.idle_s > 0,
    };
}

/* What edges report moves ends only; it decides nothing else. */
static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct peer *p = ctx;
    const struct route_lookup *ask = message;
    const struct sandbox *s;
    struct route route;

    own_close_fd(&fd);
    if (type == ROUTE_COUNTERS)
        p->counters = *(const struct route_counters *)message;
    if (type == ROUTE_ACTIVE && p->feed->domain != NULL)
        sandbox_active(p->feed->domain, ask->id);
    if (type != ROUTE_LOOKUP || p->feed->domain == NULL)
        return;
    s = sandbox_any(p->feed->domain, ask->id);
    if (route_of(s) == 0) {
        peer_send(p, ROUTE_MISSING, ask);
        return;
    }
    route = describe(s, ask->seq);
    peer_send(p, ROUTE_FOUND, &route);
}

static void on_gone(void *ctx, const struct err *why)
{
    ignore(why == NULL); /* an edge restarted: it comes back by itself */
    peer_free(ctx);
}

static void on_accept(void *ctx, int fd)
{
    struct feed *f = ctx;
    struct peer *p;

    if (f->peer_count >= FEED_PEERS_MAX) {
        own_close_fd(&fd);
        return;
    }
    p = mem_zero(sizeof(*p));
    p->feed = f;
    if (channel_new(f->loop, fd, &route_protocol, on_message, on_gone, p, &p->channel, NULL) != 0) {
        free(p); /* the edge will try again */
        return;
    }
    list_push(&f->peers, &p->node);
    f->peer_count++;
}

int feed_new(struct loop *l, int fd, struct feed **out, struct err *err)
{
    struct feed *f = mem_zero(sizeof(*f));

    f->loop = l;
    if (fd >= 0 && listener_start(&f->listener, l, fd, on_accept, f, err) != 0) {
        free(f);
        return -1;
    }
    f->is_listening = fd >= 0;
    *out = f;
    return 0;
}

void feed_serve(struct feed *f, struct domain *d)
{
    f->domain = d;
}

void feed_free(struct feed *f)
{
    struct list_node *at;

    if (f == NULL)
        return;
    while ((at = list_first(&f->peers)) != NULL)
        peer_free(container_of(at, struct peer, node));
    if (f->is_listening)
        listener_stop(&f->listener);
    free(f);
}

void feed_push(void *ctx, const struct sandbox *s)
{
    struct feed *f = ctx;
    struct route_lookup gone = {0, s->r.id};
    struct route route = describe(s, 0);
    bool is_gone = route.state == 0;
    struct list_node *at;

    for (at = list_first(&f->peers); at != NULL; at = list_next(&f->peers, at))
        peer_send(container_of(at, struct peer, node), is_gone ? ROUTE_GONE : ROUTE_PUT,
                  is_gone ? (const void *)&gone : &route);
}

struct feed_counters feed_counters(const struct feed *f)
{
    struct feed_counters sum = {.loops = f->peer_count};
    struct list_node *at;

    for (at = list_first(&f->peers); at != NULL; at = list_next(&f->peers, at)) {
        const struct route_counters *c = &container_of(at, struct peer, node)->counters;

        sum.control += c->control;
        sum.sandbox += c->sandbox;
        sum.refused += c->refused;
        sum.connections += c->connections;
        sum.routes += c->routes;
    }
    return sum;
}

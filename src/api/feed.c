/* SPDX-License-Identifier: Apache-2.0 */
/* One channel per edge loop. A peer that does not read is dropped: it then knows that what it has
 * cached is stale. Called by api.c and, as a hook, by the domain. */
#include "api/feed.h"

#include <assert.h>

#include "domain/sandbox.h"
#include "domain/sandbox_wake.h"
#include "domain/signer.h"
#include "io/socket.h"
#include "ipc/route_messages.h"

static_assert((int)FEED_CLASSES == ROUTE_CLASS_COUNT && (int)FEED_STATUSES == ROUTE_STATUS_COUNT,
              "what edge tells and what is kept of it");

struct feed {
    struct loop *loop;
    struct domain *domain; /* NULL until feed_serve() */
    struct listener listener;
    bool is_listening;
    struct list peers;
    size_t peer_count;
    uint64_t last_number;
    struct list debts;
};

struct peer {
    struct list_node node;
    struct feed *feed;
    uint64_t number;
    struct channel *channel;
    struct feed_counters counters; /* as this loop of an edge told them last */
    struct task closer;            /* a peer that failed while we were sending to it */
    struct buf untold;             /* ids of the snapshot, each with its zero byte */
    size_t told;                   /* bytes of it that are done */
    struct timer pace;
};

static void keep_list(uint64_t *cells, const struct codec_list *list, size_t count)
{
    const uint64_t *items = list->items;

    for (size_t i = 0; i < count && i < list->count; i++)
        cells[i] = items[i];
}

static void keep_counters(struct peer *p, const struct route_counters *m)
{
    struct feed_counters *c = &p->counters;
    const uint64_t numbers[FEED_NUMBERS] = {
        [FEED_CONTROL] = m->control,
        [FEED_SANDBOX] = m->sandbox,
        [FEED_REFUSED] = m->refused,
        [FEED_CONNECTIONS] = m->connections,
        [FEED_ROUTES] = m->routes,
        [FEED_REFUSED_PEERS] = m->refused_peers,
        [FEED_REFUSED_SANDBOXES] = m->refused_sandboxes,
        [FEED_STALLED] = m->stalled,
        [FEED_WOKEN] = m->woken,
        [FEED_WAKE_FAILURES] = m->wake_failures,
    };

    memcpy(c->numbers, numbers, sizeof(numbers));
    keep_list(c->cells + FEED_ANSWERS, &m->answers, FEED_RUNNING - FEED_ANSWERS);
    keep_list(c->cells + FEED_RUNNING, &m->running, FEED_BYTES - FEED_RUNNING);
    keep_list(c->cells + FEED_BYTES, &m->bytes, FEED_TOOK - FEED_BYTES);
    keep_list(c->cells + FEED_TOOK, &m->took_us, FEED_CELLS - FEED_TOOK);
}

static void peer_free(struct peer *p)
{
    task_cancel(&p->closer);
    timer_stop(&p->pace);
    buf_done(&p->untold);
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
        .may_resume = s->r.may_resume,
    };
}

/* The snapshot: ids are gathered at once, what they are is told as it is then. */

static void tell_more(void *ctx)
{
    static const struct route_lookup nothing;
    struct peer *p = ctx;

    for (size_t i = 0; i < FEED_SNAPSHOT_STEP && p->told < p->untold.len; i++) {
        struct str id = str_of(p->untold.at + p->told);
        const struct sandbox *s = sandbox_any(p->feed->domain, id);
        struct route route;

        p->told += id.len + 1;
        if (route_of(s) == 0)
            continue;
        route = describe(s, 0);
        peer_send(p, ROUTE_PUT, &route);
    }
    if (p->told < p->untold.len) {
        timer_start(p->feed->loop, &p->pace, FEED_SNAPSHOT_PAUSE_MS, tell_more, p);
        return;
    }
    buf_done(&p->untold);
    peer_send(p, ROUTE_COMPLETE, &nothing);
}

static void start_snapshot(struct peer *p)
{
    static const struct route_lookup nothing;
    const struct sandbox *s;
    size_t cursor = 0, count = 0;

    buf_init(&p->untold, FEED_SNAPSHOT_MAX * (FEED_ID_MAX + 1));
    while (count++ < FEED_SNAPSHOT_MAX && (s = sandbox_next(p->feed->domain, &cursor)) != NULL) {
        buf_add_str(&p->untold, s->r.id);
        buf_add_byte(&p->untold, '\0');
    }
    peer_send(p, ROUTE_SNAPSHOT, &nothing);
    tell_more(p);
}

/* An answer that is owed to a loop of edge, if that is still there. */
struct debt {
    struct list_node node;
    struct feed *feed;
    uint64_t peer, seq;
};

static struct debt *debt_new(struct peer *p, uint64_t seq)
{
    struct debt *d = mem_zero(sizeof(*d));

    *d = (struct debt){.feed = p->feed, .peer = p->number, .seq = seq};
    list_push(&p->feed->debts, &d->node);
    return d;
}

static void pay(struct debt *d, unsigned type, struct str id, const struct err *err)
{
    struct route_answer answer = {.seq = d->seq, .id = id};
    struct feed *f = d->feed;
    struct list_node *at = list_first(&f->peers);

    if (err != NULL) {
        answer.kind = err->kind;
        answer.text = str_of(err->text);
    }
    while (at != NULL && container_of(at, struct peer, node)->number != d->peer)
        at = list_next(&f->peers, at);
    if (at != NULL)
        peer_send(container_of(at, struct peer, node), type, &answer);
    list_remove(&d->node);
    free(d);
}

static void on_woken(void *ctx, const struct err *err)
{
    pay(ctx, ROUTE_AWAKE, (struct str){0}, err);
}

static void on_signer(void *ctx, const struct sandbox *s, const struct err *err)
{
    pay(ctx, ROUTE_SIGNER, s == NULL ? (struct str){0} : s->r.id, err);
}

static void wake(struct peer *p, const struct route_wake *m)
{
    struct wake_right right = {m->port, m->access_token, m->is_verified};

    sandbox_wake(p->feed->domain, m->id, &right, on_woken, debt_new(p, m->seq));
}

static void find_signer(struct peer *p, const struct route_signed *m)
{
    struct signed_url url = {m->id,        m->path,       m->operation,     m->user,
                             m->signature, m->expiration, m->has_expiration};

    signer_find(p->feed->domain, &url, on_signer, debt_new(p, m->seq));
}

static void look_up(struct peer *p, const struct route_lookup *ask)
{
    const struct sandbox *s = sandbox_any(p->feed->domain, ask->id);
    struct route route;

    if (route_of(s) == 0) {
        peer_send(p, ROUTE_MISSING, ask);
        return;
    }
    route = describe(s, ask->seq);
    peer_send(p, ROUTE_FOUND, &route);
}

/* What edges report moves ends only; what they ask is decided by the domain. */
static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct peer *p = ctx;

    own_close_fd(&fd);
    if (type == ROUTE_COUNTERS)
        keep_counters(p, message);
    if (p->feed->domain == NULL)
        return; /* it asks again when it waited too long */
    switch ((enum route_message)type) {
    case ROUTE_LOOKUP: look_up(p, message); break;
    case ROUTE_ACTIVE:
        sandbox_active(p->feed->domain, ((const struct route_lookup *)message)->id);
        break;
    case ROUTE_WAKE: wake(p, message); break;
    case ROUTE_SIGNED: find_signer(p, message); break;
    case ROUTE_COUNTERS:
    case ROUTE_FOUND:
    case ROUTE_MISSING:
    case ROUTE_PUT:
    case ROUTE_GONE:
    case ROUTE_AWAKE:
    case ROUTE_SIGNER:
    case ROUTE_SNAPSHOT:
    case ROUTE_COMPLETE:
    case ROUTE_MESSAGE_COUNT: break; /* not for us */
    }
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
    p->number = ++f->last_number;
    list_push(&f->peers, &p->node);
    f->peer_count++;
    if (f->domain != NULL)
        start_snapshot(p);
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
    struct list_node *at;

    f->domain = d;
    for (at = list_first(&f->peers); at != NULL; at = list_next(&f->peers, at))
        start_snapshot(container_of(at, struct peer, node));
}

void feed_free(struct feed *f)
{
    struct list_node *at;

    if (f == NULL)
        return;
    while ((at = list_first(&f->peers)) != NULL)
        peer_free(container_of(at, struct peer, node));
    while ((at = list_pop(&f->debts)) != NULL)
        free(container_of(at, struct debt, node));
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
        const struct feed_counters *c = &container_of(at, struct peer, node)->counters;

        for (size_t i = 0; i < FEED_NUMBERS; i++)
            sum.numbers[i] += c->numbers[i];
        for (size_t i = 0; i < FEED_CELLS; i++)
            sum.cells[i] += c->cells[i];
    }
    return sum;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See entry.h. Called by edge.c for each accepted connection. */
#include "edge/entry.h"

#include <sys/socket.h>

#include "edge/doors.h"

enum {
    TLS_HANDSHAKE_RECORD = 0x16, /* no method of HTTP begins with it */
    FIRST_BYTE_MS = 10 * 1000,
};

static const char *const both_protocols[] = {"h2", "http/1.1", NULL};
static const char *const one_protocol[] = {"http/1.1", NULL};

/* A connection before its first request. */
struct guest {
    struct list_node node;
    struct entry *entry;
    struct watch watch;
    struct timer timer;
    struct tls *tls; /* NULL: nothing has come yet */
    int fd;          /* until TLS has it */
    unsigned tag;
};

static void guest_free(struct guest *g)
{
    watch_stop(&g->watch);
    timer_stop(&g->timer);
    list_remove(&g->node);
    g->entry->count--;
    free(g);
}

static void turn_away(struct guest *g)
{
    struct entry *e = g->entry;
    unsigned tag = g->tag;

    tls_close(g->tls);
    own_close_fd(&g->fd);
    guest_free(g);
    e->on_close(e->ctx, tag);
}

/* Of the streams of a connection: all but its slot, and that they are none. */
static unsigned stream_tag(unsigned tag)
{
    return (tag & ((1U << TAG_BITS) - 1)) | TAG_STREAM;
}

static void on_silence(void *ctx)
{
    turn_away(ctx);
}

static void on_tls(void *ctx, struct tls *t, const struct err *err)
{
    struct guest *g = ctx;
    struct entry *e = g->entry;
    unsigned tag = g->tag | TAG_SECURE;

    if (err != NULL) { /* scanners do this all day: counted, not logged */
        e->failures++;
        turn_away(g);
        return;
    }
    guest_free(g);
    if (str_is(tls_protocol(t), "h2"))
        h2_server_adopt_over(e->h2, tls_transport(t), tag, stream_tag(tag));
    else
        http_server_adopt_over(e->server, tls_transport(t), tag);
}

static void begin_tls(struct guest *g)
{
    struct entry *e = g->entry;
    const struct tls_spec spec = {.fd = take_fd(&g->fd),
                                  .context = e->tls,
                                  .deadline_ms = e->limits.head_ms,
                                  .fn = on_tls,
                                  .ctx = g};
    struct err err;

    watch_stop(&g->watch);
    timer_stop(&g->timer);
    if (tls_open(e->loop, &spec, &g->tls, &err) == 0)
        return;
    e->failures++;
    turn_away(g);
}

static void on_first_byte(void *ctx, uint32_t events)
{
    struct guest *g = ctx;
    struct entry *e = g->entry;
    unsigned char byte;
    ssize_t n = recv(g->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    int fd;

    ignore(events);
    if (n == 1 && byte == TLS_HANDSHAKE_RECORD) {
        begin_tls(g);
    } else if (n == 1 && !e->config.is_tls_only) {
        unsigned tag = g->tag;

        watch_stop(&g->watch);
        fd = take_fd(&g->fd);
        guest_free(g);
        http_server_adopt(e->server, fd, tag);
    } else {
        turn_away(g);
    }
}

void entry_take(struct entry *e, int fd, unsigned tag)
{
    struct guest *g;
    struct err err;

    if (e->tls == NULL) {
        http_server_adopt(e->server, fd, tag);
        return;
    }
    if (e->count >= e->limits.connections_max) {
        own_close_fd(&fd);
        e->on_close(e->ctx, tag);
        return;
    }
    g = mem_zero(sizeof(*g));
    *g = (struct guest){.entry = e, .fd = fd, .tag = tag};
    list_push(&e->guests, &g->node);
    e->count++;
    if (watch_start(e->loop, &g->watch, fd, EPOLLIN, on_first_byte, g, &err) != 0) {
        turn_away(g);
        return;
    }
    timer_start(e->loop, &g->timer, e->limits.head_ms, on_silence, g);
}

static void on_preface(void *ctx, int fd, struct str first, unsigned tag)
{
    struct entry *e = ctx;

    h2_server_adopt(e->h2, fd, first, tag, stream_tag(tag));
}

static const struct cert *choose(void *ctx, struct str server_name)
{
    const struct entry *e = ctx;

    return certs_choose(&e->certs, server_name);
}

static int open_tls(struct entry *e, struct err *err)
{
    const struct tls_server_spec spec = {
        .choose = choose,
        .ctx = e,
        .protocols = e->config.has_h2 ? both_protocols : one_protocol,
        .is_1_3_only = e->config.is_1_3_only,
        .ticket_keys = e->config.ticket_keys,
    };

    if (certs_start(&e->certs, e->loop, e->config.certificates, err) != 0)
        return -1;
    if (e->certs.count == 0)
        return e->config.is_tls_only
                   ? err_set(err, ERR_INVALID, "tls.plain is off, and tls.certificates is empty")
                   : 0;
    return tls_server_context(&spec, &e->tls, err);
}

int entry_open(struct entry *e, struct loop *l, const struct entry_config *config,
               const struct http_limits *limits, struct http_server *server, struct err *err)
{
    e->loop = l;
    e->config = *config;
    e->limits = *limits;
    e->server = server;
    e->limits.head_ms = limits->head_ms > 0 ? limits->head_ms : FIRST_BYTE_MS;
    if (e->config.certificates == NULL)
        e->config.certificates = "";
    if (config->has_h2 && h2_server_new(l, server, limits, &e->h2, err) != 0)
        return -1;
    if (config->has_h2)
        http_server_on_preface(server, on_preface, e);
    return open_tls(e, err);
}

void entry_renew_tickets(struct entry *e)
{
    if (e->tls != NULL)
        tls_set_ticket_keys(e->tls, e->config.ticket_keys);
}

void entry_on_close(struct entry *e, close_fn *fn, void *ctx)
{
    e->on_close = fn;
    e->ctx = ctx;
    http_server_on_close(e->server, fn, ctx);
    if (e->h2 != NULL)
        h2_server_on_close(e->h2, fn, ctx);
}

static void turn_away_all(struct entry *e)
{
    struct list_node *n;

    while ((n = list_first(&e->guests)) != NULL)
        turn_away(container_of(n, struct guest, node));
}

void entry_drain(struct entry *e)
{
    turn_away_all(e);
    if (e->h2 != NULL)
        h2_server_drain(e->h2);
}

void entry_retire(struct entry *e)
{
    if (e->h2 != NULL)
        h2_server_drain(e->h2);
}

void entry_close(struct entry *e)
{
    turn_away_all(e);
    h2_server_free(e->h2);
    e->h2 = NULL;
    tls_context_free(e->tls);
    e->tls = NULL;
    certs_stop(&e->certs);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* http/server: when a peer counts as gone, and when it gets its answer all the same. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "http_help.h"

enum {
    BULK = 24 << 20,
    PIECE = 16 << 10,
};

struct state {
    struct exchange *held;
    unsigned gone;
    size_t produced, consumed;
};

static void on_gone(void *ctx, struct exchange *x)
{
    struct state *st = ctx;

    CHECK(x == st->held);
    st->held = NULL;
    st->gone++;
    exchange_reply(x, 200, NULL, STR("too late")); /* does nothing */
    exchange_abort(x);
}

static void produce(void *ctx, struct exchange *x)
{
    static const char piece[PIECE];
    struct state *st = ctx;

    while (st->produced < BULK) {
        st->produced += PIECE;
        if (!exchange_write(x, (struct str){piece, PIECE}))
            return;
    }
    exchange_end(x);
}

static size_t take(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct state *st = ctx;

    st->consumed += data.len;
    if (is_last)
        exchange_reply(x, 200, NULL, STR("taken"));
    return data.len;
}

static void on_request(void *ctx, struct exchange *x)
{
    struct state *st = ctx;
    struct str path = exchange_head(x)->path;
    const struct reply chunked = {.status = 200, .length = REPLY_CHUNKED};

    if (str_is(path, "/quick")) {
        exchange_reply(x, 200, NULL, STR("early"));
        return;
    }
    st->held = x;
    exchange_on_gone(x, on_gone, st);
    if (str_is(path, "/start") || str_is(path, "/bulk"))
        exchange_start(x, &chunked);
    if (str_is(path, "/start"))
        exchange_write(x, STR("abc"));
    if (str_is(path, "/take"))
        exchange_on_body(x, take, st);
    if (str_is(path, "/bulk")) {
        st->produced = 0;
        exchange_on_drain(x, produce, st);
        produce(st, x);
    }
}

static void open_rig(struct rig *g, struct state *st, const struct http_limits *limits)
{
    *st = (struct state){0};
    rig_open(g, limits, on_request, st);
}

static bool is_gone(void *ctx)
{
    const struct state *st = ctx;

    return st->gone > 0;
}

static void tells_when_the_peer_is_gone(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(st.held != NULL);
    rig_reset(&g);
    rig_until(&g, is_gone, &st);
    st.gone = 0;
    rig_connect(&g);
    rig_send(&g, "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    CHECK(shutdown(g.peer, SHUT_WR) == 0); /* the rest will never come */
    rig_until(&g, is_gone, &st);
    rig_expect_end(&g);
    CHECK(g.got.len == 0); /* what on_gone writes goes nowhere */
    st.gone = 0;
    rig_connect(&g); /* reset after its end: there is nothing to read any more */
    rig_send(&g, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(shutdown(g.peer, SHUT_WR) == 0);
    rig_wait(&g, 20);
    CHECK(st.gone == 0);
    rig_reset(&g);
    rig_until(&g, is_gone, &st);
    st.gone = 0;
    rig_connect(&g);
    rig_send(&g, "GET /start HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_reset(&g);
    rig_until(&g, is_gone, &st);
    rig_wait(&g, 5);
    CHECK(st.gone == 1 && http_server_connections(g.server) == 0);
    rig_done(&g);
    CHECK(st.gone == 1);
}

static void tells_it_behind_a_full_box(void)
{
    const struct http_limits limits = {.stall_ms = 60};
    struct state st;
    struct rig g;

    open_rig(&g, &st, &limits);
    rig_send(&g, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 999999999\r\n\r\n");
    for (int i = 0; i < 300; i++) {
        static const char piece[64 << 10];

        ignore(send(g.peer, piece, sizeof(piece), MSG_DONTWAIT | MSG_NOSIGNAL));
        rig_turn(&g);
    }
    /* it is we who do not read: no stall, and one in-box of memory */
    CHECK(st.gone == 0 && st.held != NULL);
    CHECK(rig_session(&g)->stream.in.len == HTTP_IN_MAX);
    CHECK(rig_session(&g)->stream.in.cap <= HTTP_IN_MAX);
    rig_reset(&g);
    rig_until(&g, is_gone, &st);
    rig_done(&g);
}

/* A unix socket tells a close from a half-close. */
static void tells_when_a_local_peer_is_gone(void)
{
    struct state st;
    struct rig g;
    struct err err;
    int fds[2];

    open_rig(&g, &st, NULL);
    CHECK(socket_pair(SOCK_STREAM, fds, &err) == 0);
    http_server_adopt(g.server, fds[1], 0);
    CHECK(send(fds[0], "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n", 31, 0) == 31);
    CHECK(shutdown(fds[0], SHUT_WR) == 0);
    rig_wait(&g, 20);
    CHECK(st.held != NULL && st.gone == 0);
    close(fds[0]);
    rig_until(&g, is_gone, &st);
    rig_done(&g);
}

/* Silence on both sides: only a probe tells that the peer closed. */
static void probes_a_silent_peer(void)
{
    const int second = 1;
    struct state st;
    struct rig g;
    socklen_t size = sizeof(int);
    int fd, is_on = 0;

    open_rig(&g, &st, NULL);
    fd = rig_session(&g)->stream.fd;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, &size) == 0 && is_on == 1);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &second, size) == 0);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &second, size) == 0);
    CHECK(setsockopt(g.peer, IPPROTO_TCP, TCP_LINGER2, &second, size) == 0);
    rig_send(&g, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_hang_up(&g);
    rig_wait(&g, 100);
    CHECK(st.held != NULL && st.gone == 0);
    rig_until(&g, is_gone, &st);
    rig_done(&g);
}

static void answers_a_peer_that_half_closed(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    CHECK(shutdown(g.peer, SHUT_WR) == 0);
    rig_wait(&g, 50);
    CHECK(st.gone == 0 && st.held != NULL);
    exchange_reply(st.held, 200, NULL, STR("patience"));
    rig_expect_part(&g, "patience");
    rig_expect_end(&g);
    CHECK(!g.is_reset);
    rig_connect(&g); /* a stream that is longer than all the buffers */
    ignore(send(g.peer, "GET /bulk HTTP/1.0\r\nHost: h\r\n\r\n", 31, 0)); /* 31 bytes fit */
    CHECK(shutdown(g.peer, SHUT_WR) == 0);
    rig_expect_end(&g);
    CHECK(!g.is_reset && g.got.len > BULK && st.gone == 0);
    rig_connect(&g); /* the body is complete, but read late */
    rig_send(&g, "POST /hold HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    CHECK(shutdown(g.peer, SHUT_WR) == 0);
    rig_wait(&g, 20);
    exchange_on_body(st.held, take, &st);
    rig_expect_part(&g, "taken");
    CHECK(st.consumed == 3 && st.gone == 0);
    rig_connect(&g);
    ignore(send(g.peer, "GET /quick HTTP/1.1\r\nHost: h\r\n\r\n", 32, 0)); /* 32 bytes fit */
    CHECK(shutdown(g.peer, SHUT_WR) == 0);
    rig_expect_part(&g, "early");
    rig_expect_end(&g);
    CHECK(!g.is_reset);
    rig_done(&g);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"tells when the peer is gone",     tells_when_the_peer_is_gone    },
        {"tells it behind a full box",      tells_it_behind_a_full_box     },
        {"tells when a local peer is gone", tells_when_a_local_peer_is_gone},
        {"probes a silent peer",            probes_a_silent_peer           },
        {"answers a peer that half closed", answers_a_peer_that_half_closed},
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

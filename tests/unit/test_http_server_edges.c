/* SPDX-License-Identifier: Apache-2.0 */
/* http/server: limits, time, slow peers, refusals, upgrades, the end of a server. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "http_help.h"

enum {
    BULK = 24 << 20,
    PIECE = 16 << 10,
    LARGE = 20 << 10,
};

struct state {
    struct loop *loop;
    struct exchange *held;
    unsigned requests, gone, done;
    size_t produced, consumed;
    int detached;
    struct buf rest;
    struct rig *rig;
    bool is_freed;
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

static size_t take_none(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct state *st = ctx;

    CHECK(x == st->held && data.len > 0 && !is_last);
    st->done++;
    return 0;
}

static size_t abort_it(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct state *st = ctx;

    st->done += is_last ? 1 : 0;
    exchange_abort(x);
    return data.len;
}

static void upgrade(struct state *st, struct exchange *x)
{
    const struct http_field field = {STR("Upgrade"), STR("test")};
    const struct reply r = {.status = 101, .fields = &field, .field_count = 1};

    exchange_start(x, &r);
    st->detached = exchange_detach(x, &st->rest);
}

static void free_server(struct state *st)
{
    http_server_free(st->rig->server);
    st->rig->server = NULL;
    st->is_freed = true;
}

static void on_request(void *ctx, struct exchange *x)
{
    struct state *st = ctx;
    struct str path = exchange_head(x)->path;
    const struct reply chunked = {.status = 200, .length = REPLY_CHUNKED};

    st->requests++;
    if (str_is(path, "/hold")) {
        st->held = x;
        exchange_on_gone(x, on_gone, st);
    } else if (str_is(path, "/start")) {
        st->held = x;
        exchange_on_gone(x, on_gone, st);
        exchange_start(x, &chunked);
        exchange_write(x, STR("abc"));
    } else if (str_is(path, "/bulk")) {
        st->produced = 0;
        st->held = x;
        exchange_on_gone(x, on_gone, st);
        exchange_start(x, &chunked);
        exchange_on_drain(x, produce, st);
        produce(st, x);
    } else if (str_is(path, "/large")) {
        static char body[LARGE];

        exchange_reply(x, 200, NULL, (struct str){body, sizeof(body)});
    } else if (str_is(path, "/refuse")) {
        st->held = x;
        exchange_on_body(x, take_none, st);
    } else if (str_is(path, "/take")) {
        st->held = x;
        exchange_on_gone(x, on_gone, st);
        exchange_on_body(x, take, st);
    } else if (str_is(path, "/abort-later")) {
        exchange_on_body(x, abort_it, st);
    } else if (str_is(path, "/abort")) {
        exchange_start(x, &chunked);
        exchange_write(x, STR("abc"));
        exchange_abort(x);
    } else if (str_is(path, "/upgrade")) {
        upgrade(st, x);
    } else if (str_is(path, "/free")) {
        st->held = x;
        exchange_on_gone(x, on_gone, st);
        free_server(st);
    } else {
        exchange_reply(x, 200, NULL, STR("early"));
    }
}

static void open_rig(struct rig *g, struct state *st, const struct http_limits *limits)
{
    *st = (struct state){.detached = -1, .rig = g};
    rig_open(g, limits, on_request, st);
    st->loop = g->loop;
}

static void refuses_what_is_no_request(void)
{
    static const struct {
        const char *line, *text;
    } cases[] = {
        {"HTTP/1.1 400 Bad Request",      "GET / HTTP/1.1\r\n\r\n"           },
        {"HTTP/1.1 400 Bad Request",      "GET / HTTP/1.1\nHost: h\n\n"      },
        {"HTTP/1.1 400 Bad Request",      "\x16\x03\x01\x02"                 },
        {"HTTP/1.1 505 HTTP Version Not", "GET / HTTP/3.0\r\nHost: h\r\n\r\n"},
        {"HTTP/1.1 501 Not Implemented",
         "GET / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n"      },
    };
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        rig_send(&g, cases[i].text);
        rig_expect_part(&g, cases[i].line);
        rig_expect_part(&g, "Content-Type: application/json\r\n");
        rig_expect_part(&g, "Connection: close\r\n");
        rig_expect_part(&g, "{\"code\":");
        rig_expect_part(&g, "\"}");
        rig_expect_end(&g);
        CHECK(!g.is_reset);
        rig_connect(&g);
    }
    CHECK(st.requests == 0);
    rig_done(&g);
}

static void refuses_big_heads(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    for (int i = 0; i < 50 && g.got.len == 0; i++) {
        char piece[1001];

        memset(piece, 'x', sizeof(piece) - 1);
        piece[sizeof(piece) - 1] = '\0';
        rig_send(&g, piece);
    }
    rig_expect_part(&g, "HTTP/1.1 431 ");
    rig_done(&g);
}

static void refuses_broken_bodies(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "POST /take HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab");
    rig_expect_part(&g, "HTTP/1.1 400 Bad Request\r\n");
    rig_expect_end(&g);
    CHECK(st.gone == 1 && st.consumed == 1);
    rig_connect(&g);
    rig_send(&g, "POST /abort-later HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    rig_expect_end(&g);
    CHECK(st.done == 0);
    rig_done(&g);
}

static void cuts_what_is_aborted(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "GET /abort HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect_part(&g, "\r\n3\r\nabc\r\n");
    rig_expect_end(&g);
    CHECK(memmem(g.got.at, g.got.len, "\r\n0\r\n", 5) == NULL);
    rig_connect(&g);
    rig_send(&g, "GET /abort HTTP/1.0\r\n\r\n");
    rig_expect_end(&g);
    CHECK(g.is_reset); /* an orderly end would look like a whole body */
    rig_done(&g);
}

static bool is_ended(void *ctx)
{
    const struct rig *g = ctx;

    return g->got.len > 5 && memcmp(g->got.at + g->got.len - 5, "0\r\n\r\n", 5) == 0;
}

static void holds_little_for_a_stalled_reader(void)
{
    struct state st;
    struct rig g;
    const struct session *s;
    size_t stalled_at;

    open_rig(&g, &st, NULL);
    ignore(send(g.peer, "GET /bulk HTTP/1.1\r\nHost: h\r\n\r\n", 31, 0)); /* 31 bytes fit */
    for (int i = 0; i < 100; i++)
        rig_turn(&g);
    stalled_at = st.produced;
    s = rig_session(&g);
    test_note("produced %zu KiB, holds %zu KiB", stalled_at >> 10, s->stream.out.cap >> 10);
    CHECK(stalled_at < BULK && s->stream.out.len > 0);
    CHECK(s->stream.out.len <= STREAM_HIGH + PIECE + 100);
    CHECK(s->stream.out.cap <= 4 * STREAM_HIGH);
    for (int i = 0; i < 50; i++)
        rig_turn(&g);
    CHECK(st.produced == stalled_at);
    rig_until(&g, is_ended, &g);
    CHECK(st.produced == BULK && g.got.len > BULK);
    rig_done(&g);
}

static void does_not_pile_up_answers(void)
{
    struct state st;
    struct rig g;
    const struct session *s;
    size_t most = 0;

    /* many requests, no reading: at some point they are not looked at any more */
    open_rig(&g, &st, NULL);
    s = rig_session(&g);
    for (int i = 0; i < 1000; i++) {
        ignore(send(g.peer, "GET /large HTTP/1.1\r\nHost: h\r\n\r\n", 32, MSG_DONTWAIT));
        rig_turn(&g);
        most = s->stream.out.len > most ? s->stream.out.len : most;
    }
    test_note("answered %u, at most %zu KiB unsent", st.requests, most >> 10);
    CHECK(st.requests > 10 && st.requests < 1000 && most > STREAM_HIGH);
    CHECK(most <= STREAM_HIGH + LARGE + 100);
    for (int i = 0; i < RIG_WAIT_MS && st.requests < 1000; i++)
        rig_read(&g);
    CHECK(st.requests == 1000); /* but all of them in the end */
    rig_done(&g);
}

static void pauses_until_resumed(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "POST /refuse HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
    CHECK(st.done == 1);
    rig_send(&g, "def");
    rig_send(&g, "ghi");
    CHECK(st.done == 1);
    exchange_resume(st.held);
    CHECK(st.done == 1); /* never from inside the call */
    rig_wait(&g, 3);
    CHECK(st.done == 2);
    exchange_reply(st.held, 200, NULL, STR("enough"));
    rig_expect_part(&g, "enough");
    rig_done(&g);
}

static void answers_early(void)
{
    const struct http_limits limits = {.drain_max = 10};
    struct state st;
    struct rig g;

    open_rig(&g, &st, &limits);
    rig_send(&g, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nab");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    rig_send(&g, "cdeGET /early HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly");
    rig_send(&g, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n");
    rig_expect_part(&g, "Content-Length: 5\r\nConnection: close\r\n\r\nearly");
    for (int i = 0; i < 20; i++) /* goes on: no reset may eat the answer */
        rig_send(&g, "0123456789");
    rig_expect_end(&g);
    CHECK(!g.is_reset);
    rig_connect(&g);
    rig_send(&g, "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    rig_expect_part(&g, "early");
    rig_send(&g, "f\r\n0123456789abcde\r\n");
    rig_expect_end(&g); /* more than drain_max */
    CHECK(!g.is_reset && st.requests == 4);
    rig_hang_up(&g);
    rig_wait(&g, 5);
    CHECK(http_server_connections(g.server) == 0);
    rig_done(&g);
}

static void gives_the_socket_away(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "GET /upgrade HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: test\r\n\r\n"
                 "first bytes");
    rig_expect(&g, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\n"
                   "Connection: Upgrade\r\n\r\n");
    CHECK(st.detached >= 0 && http_server_connections(g.server) == 0);
    CHECK(str_is(buf_str(&st.rest), "first bytes"));
    buf_done(&st.rest);
    CHECK(send(st.detached, "hi", 2, 0) == 2);
    rig_expect(&g, "hi");
    close(st.detached);
    rig_expect_end(&g);
    rig_done(&g);
}

static void has_time_limits(void)
{
    const struct http_limits limits = {.head_ms = 40, .idle_ms = 400, .stall_ms = 60};
    struct state st;
    struct rig g;

    open_rig(&g, &st, &limits);
    rig_send(&g, "GET / HT");
    rig_expect_part(&g, "HTTP/1.1 408 ");
    rig_expect_end(&g);
    rig_connect(&g);
    rig_wait(&g, 60);
    CHECK(!g.is_ended); /* idle, not in a head */
    rig_expect_end(&g);
    CHECK(g.got.len == 0);
    rig_connect(&g);
    rig_send(&g, "POST /take HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nab");
    rig_expect_end(&g);
    CHECK(st.gone == 1 && st.consumed == 2);
    rig_connect(&g); /* a handler may think as long as it likes */
    rig_send(&g, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_wait(&g, 200);
    CHECK(st.gone == 1 && !g.is_ended);
    exchange_reply(st.held, 200, NULL, STR("ok"));
    rig_expect_part(&g, "ok");
    rig_connect(&g);                                                      /* does not read */
    ignore(send(g.peer, "GET /bulk HTTP/1.1\r\nHost: h\r\n\r\n", 31, 0)); /* 31 bytes fit */
    for (int i = 0; i < 400 && st.gone == 1; i++)
        rig_turn(&g);
    CHECK(st.gone == 2);
    rig_done(&g);
}

static void limits_connections(void)
{
    const struct http_limits limits = {.connections_max = 1};
    struct state st;
    struct rig g;
    int first;

    open_rig(&g, &st, &limits);
    first = g.peer;
    g.peer = -1;
    rig_connect(&g);
    rig_expect_end(&g);
    close(first);
    rig_wait(&g, 5);
    rig_connect(&g);
    rig_send(&g, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect_part(&g, "early");
    rig_done(&g);
}

static void on_drained(void *ctx)
{
    struct state *st = ctx;

    st->done++;
}

static bool is_done(void *ctx)
{
    const struct state *st = ctx;

    return st->done > 0;
}

static void drains(void)
{
    struct state st;
    struct rig g;
    int busy;

    open_rig(&g, &st, NULL);
    rig_send(&g, "GET /hold HTTP/1.1\r\nHost: h\r\n\r\n");
    busy = g.peer;
    g.peer = -1;
    rig_connect(&g); /* idle */
    CHECK(http_server_connections(g.server) == 2);
    http_server_drain(g.server, on_drained, &st);
    rig_expect_end(&g);
    rig_wait(&g, 20);
    CHECK(st.done == 0 && http_server_connections(g.server) == 1);
    close(g.peer);
    g.peer = busy;
    g.is_ended = false;
    exchange_reply(st.held, 200, NULL, STR("ok"));
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    rig_expect_end(&g);
    rig_until(&g, is_done, &st);
    rig_connect(&g); /* no more */
    rig_expect_end(&g);
    CHECK(st.done == 1);
    rig_done(&g);
}

static void drains_when_empty(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_hang_up(&g);
    rig_wait(&g, 5);
    http_server_drain(g.server, on_drained, &st);
    CHECK(st.done == 0); /* never from inside the call */
    rig_until(&g, is_done, &st);
    rig_done(&g);
}

static void tells_running_exchanges_at_its_end(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    rig_send(&g, "GET /start HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect_part(&g, "abc");
    http_server_free(g.server);
    g.server = NULL;
    CHECK(st.gone == 1);
    rig_expect_end(&g);
    rig_done(&g);
}

static void may_be_freed_by_a_handler(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, NULL);
    ignore(send(g.peer, "GET /free HTTP/1.1\r\nHost: h\r\n\r\n", 31, 0)); /* 31 bytes fit */
    for (int i = 0; i < 100 && !st.is_freed; i++)
        rig_turn(&g);
    CHECK(st.is_freed && st.gone == 1);
    rig_expect_end(&g);
    rig_done(&g);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"refuses what is no request",         refuses_what_is_no_request        },
        {"refuses big heads",                  refuses_big_heads                 },
        {"refuses broken bodies",              refuses_broken_bodies             },
        {"cuts what is aborted",               cuts_what_is_aborted              },
        {"holds little for a stalled reader",  holds_little_for_a_stalled_reader },
        {"does not pile up answers",           does_not_pile_up_answers          },
        {"pauses until resumed",               pauses_until_resumed              },
        {"answers early",                      answers_early                     },
        {"gives the socket away",              gives_the_socket_away             },
        {"has time limits",                    has_time_limits                   },
        {"limits connections",                 limits_connections                },
        {"drains",                             drains                            },
        {"drains when empty",                  drains_when_empty                 },
        {"tells running exchanges at its end", tells_running_exchanges_at_its_end},
        {"may be freed by a handler",          may_be_freed_by_a_handler         },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

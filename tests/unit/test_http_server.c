/* SPDX-License-Identifier: Apache-2.0 */
/* http/server: requests and answers as they travel; see test_http_server_edges.c for limits, time
 * and peers that vanish. */
#include <stdio.h>
#include <string.h>

#include "http_help.h"

/* The handler of all cases: the path says what it does. */
struct state {
    struct loop *loop;
    struct exchange *held;
    struct timer timer;
    bool is_stopped;
    unsigned requests, bodies;
    char seen[256]; /* paths, or collected bodies */
};

static void note(struct state *st, struct str text)
{
    size_t len = strlen(st->seen);

    snprintf(st->seen + len, sizeof(st->seen) - len, "%.*s,", STR_ARG(text));
}

static void reply_held(void *ctx)
{
    struct state *st = ctx;
    struct exchange *x = st->held;

    st->held = NULL;
    exchange_reply(x, 200, "text/plain", exchange_head(x)->path);
}

static void reply_body(void *ctx, struct exchange *x)
{
    struct state *st = ctx;

    st->bodies++;
    exchange_reply(x, 200, NULL, exchange_body(x));
}

static void too_large(void *ctx, struct exchange *x)
{
    note(ctx, STR("too large"));
    exchange_reply(x, 413, NULL, STR("much"));
}

static size_t echo(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct state *st = ctx;

    CHECK(!is_last || data.len == 0);
    if (is_last)
        exchange_end(x);
    else if (st->is_stopped)
        return 0;
    else
        st->is_stopped = !exchange_write(x, data);
    return data.len;
}

static void on_drain(void *ctx, struct exchange *x)
{
    struct state *st = ctx;

    st->is_stopped = false;
    exchange_resume(x);
}

static size_t take_one(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct state *st = ctx;

    if (is_last) {
        exchange_reply(x, 200, NULL, str_of(st->seen));
        return 0;
    }
    note(st, str_upto(data, 1));
    exchange_resume(x); /* allowed from here: shown again in the next turn */
    return 1;
}

static size_t nothing(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct state *st = ctx;

    note(st, is_last ? STR("last") : data);
    if (is_last)
        exchange_reply(x, 204, NULL, STR("ignored"));
    return data.len;
}

static void start(struct exchange *x, unsigned status, int64_t length)
{
    static const struct http_field fields[] = {
        {{"X-A", 3},                {"b", 1}      },
        {{"Content-Length", 14},    {"77", 2}     }, /* not theirs to say */
        {{"Transfer-Encoding", 17}, {"chunked", 7}},
        {{"connection", 10},        {"close", 5}  },
    };
    const struct reply r = {status, fields, COUNT_OF(fields), length, false};

    exchange_start(x, &r);
}

static void on_late_collect(void *ctx)
{
    struct state *st = ctx;

    exchange_collect(st->held, 100, reply_body, NULL, st);
}

static void start_kinds(struct state *st, struct exchange *x, struct str path)
{
    if (str_is(path, "/echo")) {
        start(x, 200, REPLY_CHUNKED);
        exchange_on_drain(x, on_drain, st);
        exchange_on_body(x, echo, st);
    } else if (str_is(path, "/known")) {
        start(x, 200, 4);
        CHECK(exchange_write(x, STR("ab")));
        CHECK(exchange_write(x, STR("cdef"))); /* the rest is not announced */
        exchange_end(x);
    } else if (str_is(path, "/unknown")) {
        start(x, 200, REPLY_CHUNKED);
        CHECK(exchange_is_started(x));
        exchange_write(x, STR("ab"));
        exchange_write(x, STR(""));
        exchange_write(x, STR("0123456789abcdef"));
        exchange_end(x);
    } else if (str_is(path, "/short")) {
        start(x, 200, 4);
        exchange_write(x, STR("ab"));
        exchange_end(x);
    } else if (str_is(path, "/bad-field")) {
        const struct http_field bad = {STR("X"), STR("a\r\nSet-Cookie: b")};
        const struct reply r = {200, &bad, 1, 2, false};

        exchange_start(x, &r);
        exchange_write(x, STR("ab"));
        exchange_end(x);
    } else {
        exchange_reply(x, 404, NULL, STR(""));
    }
}

static void on_request(void *ctx, struct exchange *x)
{
    struct state *st = ctx;
    struct str path = exchange_head(x)->path;

    CHECK(exchange_tag(x) == 7);
    st->requests++;
    if (str_is(path, "/hello")) {
        exchange_reply(x, 200, "text/plain", STR("hello"));
    } else if (str_has_prefix(path, "/later")) {
        st->held = x;
        timer_start(st->loop, &st->timer, 5, reply_held, st);
    } else if (str_is(path, "/collect")) {
        exchange_collect(x, 10, reply_body, too_large, st);
    } else if (str_is(path, "/collect-plain")) {
        exchange_collect(x, 10, reply_body, NULL, st);
    } else if (str_is(path, "/collect-later")) {
        st->held = x;
        timer_start(st->loop, &st->timer, 5, on_late_collect, st);
    } else if (str_is(path, "/one")) {
        exchange_on_body(x, take_one, st);
    } else if (str_is(path, "/nothing")) {
        exchange_on_body(x, nothing, st);
    } else if (str_is(path, "/empty")) {
        exchange_reply(x, 202, NULL, STR(""));
    } else {
        start_kinds(st, x, path);
    }
}

static void open_rig(struct rig *g, struct state *st)
{
    *st = (struct state){0};
    rig_open(g, NULL, on_request, st);
    st->loop = g->loop;
}

static void answers(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    for (int i = 0; i < 3; i++) {
        rig_send(&g, "GET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
        rig_expect(&g,
                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    }
    CHECK(http_server_connections(g.server) == 1);
    rig_send(&g, "GET /empty HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
    rig_send(&g, "HEAD /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
    rig_send(&g, "GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(strcmp(st.seen, "last,") == 0);
    rig_send(&g, "GET /hello HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                   "Connection: close\r\n\r\nhello");
    rig_expect_end(&g);
    CHECK(!g.is_reset && http_server_connections(g.server) == 0);
    rig_done(&g);
}

static void speaks_http_1_0(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    rig_send(&g, "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n"
                   "Connection: keep-alive\r\n\r\nhello");
    rig_send(&g, "GET /unknown HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nX-A: b\r\nConnection: close\r\n\r\nab0123456789abcdef");
    rig_expect_end(&g);
    CHECK(!g.is_reset);
    rig_connect(&g);
    rig_send(&g, "GET /hello HTTP/1.0\r\n\r\n");
    rig_expect_part(&g, "Connection: close\r\n\r\nhello");
    rig_expect_end(&g);
    rig_done(&g);
}

static void answers_in_turn(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    rig_send(&g, "GET /later1 HTTP/1.1\r\nHost: h\r\n\r\nPOST /collect HTTP/1.1\r\nHost: h\r\n"
                 "Content-Length: 2\r\n\r\nabPOST /collect HTTP/1.1\r\nHost: h\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n1\r\nc\r\n0\r\n\r\n"
                 "GET /later2 HTTP/1.1\r\nHost: h\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n/later1"
                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab"
                   "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nc"
                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n"
                   "/later2"
                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    CHECK(st.requests == 5 && http_server_connections(g.server) == 1);
    rig_done(&g);
}

static void frames_answers(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    rig_send(&g, "GET /known HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\nabcd");
    rig_send(&g, "GET /unknown HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n"
                   "2\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n");
    rig_send(&g, "HEAD /unknown HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nX-A: b\r\n\r\n");
    rig_send(&g, "HEAD /known HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\n");
    rig_send(&g, "GET /short HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\nab");
    rig_expect_end(&g); /* truncated, and the peer can tell */
    rig_connect(&g);
    rig_send(&g, "GET /bad-field HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n"
                   "Connection: close\r\n\r\n");
    rig_expect_end(&g);
    rig_done(&g);
}

static void collects(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    rig_send(&g, "POST /collect HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    rig_send(&g, "5\r\n01234\r\n");
    rig_send(&g, "5\r\n56789\r\n");
    CHECK(st.bodies == 0);
    rig_send(&g, "0\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789");
    rig_send(&g, "GET /collect HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    rig_send(&g, "POST /collect HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n0123456789a");
    rig_expect(&g, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch");
    rig_send(&g, "POST /collect HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "9\r\n012345678\r\n2\r\n9a\r\n");
    rig_expect(&g, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n\r\nmuch");
    CHECK(strcmp(st.seen, "too large,too large,") == 0 && st.bodies == 2);
    rig_send(&g, "3\r\nend\r\n0\r\n\r\n"); /* skipped */
    rig_send(&g,
             "POST /collect-plain HTTP/1.1\r\nHost: h\r\nContent-Length: 11\r\n\r\n0123456789a");
    rig_expect_part(&g, "{\"code\":413,\"message\":");
    buf_done(&g.got);
    rig_send(&g, "POST /collect-later HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    CHECK(http_server_connections(g.server) == 1);
    rig_done(&g);
}

static void flows_both_ways(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    rig_send(&g, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 5; i++) {
        rig_send(&g, "3\r\nabc\r\n");
        rig_expect(&g, "3\r\nabc\r\n");
    }
    rig_send(&g, "0\r\n\r\nGET /hello HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect(&g, "0\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello");
    rig_done(&g);
}

static void takes_bodies_byte_by_byte(void)
{
    static const char request[] =
        "POST /collect HTTP/1.1\r\nHost: h\r\n"
        "Transfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: u\r\n\r\n";
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    for (size_t i = 0; i < sizeof(request) - 1; i++) {
        const char byte[2] = {request[i]};

        rig_send(&g, byte);
    }
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
    rig_done(&g);
}

static void shows_again_what_was_not_taken(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    rig_send(&g, "POST /one HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nabcd");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\na,b,c,d,");
    st.seen[0] = '\0';
    rig_send(&g, "POST /one HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\na,b,c,d,");
    rig_done(&g);
}

static void asks_for_the_body(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st);
    rig_send(&g, "POST /collect HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 2\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 100 Continue\r\n\r\n");
    rig_send(&g, "ab");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
    /* it did not wait: nothing to ask */
    rig_send(&g, "POST /collect HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 2\r\n\r\nab");
    rig_expect(&g, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab");
    /* refused without asking; whether a body follows is not known, so the connection ends */
    rig_send(&g, "POST /collect HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 11\r\n\r\n");
    rig_expect(&g, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 4\r\n"
                   "Connection: close\r\n\r\nmuch");
    rig_expect_end(&g);
    rig_done(&g);
}

static void copies_heads(void)
{
    struct state st;
    struct rig g;

    /* while the first is held, more arrives and the in-box moves */
    open_rig(&g, &st);
    rig_send(&g, "POST /later-with-a-longer-name HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n"
                 "\r\n");
    for (int i = 0; i < 4; i++) {
        char piece[10001];

        memset(piece, 'x', sizeof(piece) - 1);
        piece[sizeof(piece) - 1] = '\0';
        rig_send(&g, piece);
    }
    rig_expect_part(&g, "\r\n\r\n/later-with-a-longer-name");
    rig_done(&g);
}

static void idle_connections_hold_nothing(void)
{
    struct state st;
    struct rig g;
    struct session *s;

    open_rig(&g, &st);
    rig_send(&g, "GET /later HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect_part(&g, "/later");
    s = rig_session(&g);
    CHECK(s->stream.in.base == NULL && s->stream.out.base == NULL && s->out.hold.base == NULL);
    CHECK(s->x == NULL && sizeof(*s) <= 512);
    test_note("an idle connection: %zu bytes", sizeof(*s));
    rig_done(&g);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"answers",                        answers                       },
        {"speaks HTTP/1.0",                speaks_http_1_0               },
        {"answers in turn",                answers_in_turn               },
        {"frames answers",                 frames_answers                },
        {"collects",                       collects                      },
        {"flows both ways",                flows_both_ways               },
        {"takes bodies byte by byte",      takes_bodies_byte_by_byte     },
        {"shows again what was not taken", shows_again_what_was_not_taken},
        {"asks for the body",              asks_for_the_body             },
        {"copies heads",                   copies_heads                  },
        {"idle connections hold nothing",  idle_connections_hold_nothing },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

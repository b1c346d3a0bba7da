/* SPDX-License-Identifier: Apache-2.0 */
/* http/client against a scripted peer on a socket pair: requests as they travel, answers of every
 * shape, reuse, failures, backpressure. */
#include <string.h>
#include <sys/socket.h>

#include "http/client.h"
#include "io/socket.h"
#include "test.h"

enum {
    WAIT_MS = 5000,
    BULK = 8 << 20,
};

struct rig {
    struct loop *loop;
    struct http_conn *conn;
    int peer;
    struct buf got, body;
    /* what the callbacks saw */
    unsigned heads, lasts, fails, drains, idle_closes, status;
    bool is_fresh;
    struct err err;
    /* what they do */
    size_t take_max; /* bytes of the body taken at once */
    bool free_on_head, free_on_body, free_on_last, free_on_fail, call_on_last, detach_on_head;
    int detached;
    struct buf rest;
};

static const struct call_events events;

static void free_conn(struct rig *g)
{
    http_conn_free(g->conn);
    g->conn = NULL;
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct rig *g = ctx;

    g->heads++;
    g->status = h->status;
    if (g->detach_on_head) {
        g->detached = http_conn_detach(g->conn, &g->rest);
        g->conn = NULL;
    }
    if (g->free_on_head)
        free_conn(g);
}

static void call(struct rig *g, const char *method, int64_t length)
{
    const struct http_field fields[] = {
        {{"Host", 4},               {"h", 1}      },
        {{"Transfer-Encoding", 17}, {"chunked", 7}}, /* not theirs to say */
    };
    const struct call_request r = {.method = str_of(method),
                                   .target = STR("/t"),
                                   .fields = fields,
                                   .field_count = 2,
                                   .length = length};

    http_conn_call(g->conn, &r, &events, g);
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    struct rig *g = ctx;
    struct str part = str_upto(data, g->take_max);

    CHECK(!is_last || data.len == 0);
    buf_add_str(&g->body, part);
    if (is_last) {
        g->lasts++;
        if (g->free_on_last)
            free_conn(g);
        if (g->call_on_last) {
            g->call_on_last = false;
            CHECK(http_conn_is_idle(g->conn));
            call(g, "GET", 0);
        }
    } else if (g->free_on_body) {
        free_conn(g);
    }
    return part.len;
}

static void on_drain(void *ctx)
{
    struct rig *g = ctx;

    g->drains++;
}

static void on_fail(void *ctx, const struct err *err, bool is_fresh)
{
    struct rig *g = ctx;

    g->fails++;
    g->err = *err;
    g->is_fresh = is_fresh;
    if (g->free_on_fail)
        free_conn(g);
}

static const struct call_events events = {on_head, on_body, on_drain, on_fail};

static void on_idle_close(void *ctx)
{
    struct rig *g = ctx;

    g->idle_closes++;
    free_conn(g);
}

static void rig_open(struct rig *g)
{
    struct err err;
    int fds[2];

    *g = (struct rig){.take_max = SIZE_MAX, .detached = -1};
    buf_init(&g->got, 64 << 20);
    buf_init(&g->body, 64 << 20);
    CHECK(loop_new(&g->loop, &err) == 0);
    CHECK(socket_pair(SOCK_STREAM, fds, &err) == 0);
    g->peer = fds[1];
    CHECK(http_conn_new(g->loop, fds[0], false, &g->conn, &err) == 0);
    http_conn_on_idle_close(g->conn, on_idle_close, g);
    CHECK(http_conn_is_idle(g->conn));
}

static void rig_done(struct rig *g)
{
    http_conn_free(g->conn);
    if (g->peer >= 0)
        close(g->peer);
    buf_done(&g->got);
    buf_done(&g->body);
    loop_free(g->loop);
}

static void on_turn(void *ctx)
{
    loop_stop(ctx);
}

static void turn(struct rig *g)
{
    struct timer t = {0};
    struct err err;

    timer_start(g->loop, &t, 1, on_turn, g->loop);
    CHECK(loop_run(g->loop, &err) == 0);
    timer_stop(&t);
}

static void peer_read(struct rig *g)
{
    char data[4096];
    ssize_t n;

    while ((n = recv(g->peer, data, sizeof(data), MSG_DONTWAIT)) > 0)
        buf_add(&g->got, data, (size_t)n);
}

static void expect(struct rig *g, const char *text)
{
    for (int i = 0; i < WAIT_MS && g->got.len < strlen(text); i++) {
        turn(g);
        peer_read(g);
    }
    if (!str_is(buf_str(&g->got), text))
        test_note("received '%.*s'", STR_ARG(buf_str(&g->got)));
    CHECK(str_is(buf_str(&g->got), text));
    buf_clear(&g->got);
}

static void answer(struct rig *g, const char *text)
{
    CHECK(send(g->peer, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
    for (int i = 0; i < 3; i++)
        turn(g);
}

static void hang_up(struct rig *g)
{
    close(g->peer);
    g->peer = -1;
    for (int i = 0; i < 3; i++)
        turn(g);
}

static void writes_requests(void)
{
    struct rig g;

    rig_open(&g);
    call(&g, "GET", 0);
    expect(&g, "GET /t HTTP/1.1\r\nHost: h\r\n\r\n");
    answer(&g, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    call(&g, "POST", 0);
    expect(&g, "POST /t HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    answer(&g, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    call(&g, "PUT", 5);
    CHECK(http_conn_write(g.conn, STR("ab")));
    CHECK(http_conn_write(g.conn, STR("cde")));
    http_conn_end(g.conn);
    expect(&g, "PUT /t HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nabcde");
    answer(&g, "HTTP/1.1 204 No Content\r\n\r\n");
    call(&g, "POST", -1);
    CHECK(http_conn_write(g.conn, STR("abcdefghijklmnopq")));
    expect(&g, "POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
               "11\r\nabcdefghijklmnopq\r\n");
    http_conn_end(g.conn);
    expect(&g, "0\r\n\r\n");
    answer(&g, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    CHECK(g.heads == 4 && g.lasts == 4 && g.fails == 0 && http_conn_is_idle(g.conn));
    CHECK(str_is(buf_str(&g.body), "ok"));
    rig_done(&g);
}

struct shape {
    const char *method;
    unsigned status;
    bool is_idle;
    const char *body, *text;
};

static void check_shape(const struct shape *s, size_t step)
{
    struct rig g;
    char part[2] = {0};

    rig_open(&g);
    call(&g, s->method, 0);
    for (const char *at = s->text; step == 1 && *at != '\0'; at++) {
        part[0] = *at;
        answer(&g, part);
    }
    if (step != 1)
        answer(&g, s->text);
    CHECK(g.heads == 1 && g.lasts == 1 && g.fails == 0 && g.status == s->status);
    CHECK(str_is(buf_str(&g.body), s->body));
    CHECK(http_conn_is_idle(g.conn) == s->is_idle);
    rig_done(&g);
}

static void reads_answers_of_every_shape(void)
{
    static const struct shape shapes[] = {
        {"GET",  200, true,  "abc", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"       },
        {"GET",  200, true,  "",    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"          },
        {"GET",  200, true,  "abc",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\nT: "
         "u\r\n\r\n"                                                                        },
        {"HEAD", 200, true,  "",    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"          },
        {"GET",  204, true,  "",    "HTTP/1.1 204 No Content\r\n\r\n"                       },
        {"GET",  304, true,  "",    "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"},
        {"GET",  200, false, "a",
         "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na"               },
        {"GET",  200, false, "a",   "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na"         },
        {"GET",  200, false, "a",
         "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n"                 },
        {"GET",  200, true,  "a",
         "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 "
         "OK\r\nContent-Length: 1\r\n\r\na"                                                 },
    };

    for (size_t i = 0; i < COUNT_OF(shapes); i++) {
        test_note("shape %zu", i);
        check_shape(&shapes[i], SIZE_MAX);
        if (!strstr(shapes[i].text, "aHTTP")) /* then the connection is idle before it is spoilt */
            check_shape(&shapes[i], 1);
    }
}

static void reads_until_the_end(void)
{
    struct rig g;

    rig_open(&g);
    call(&g, "GET", 0);
    answer(&g, "HTTP/1.1 200 OK\r\n\r\nabc");
    CHECK(g.heads == 1 && g.lasts == 0);
    answer(&g, "def");
    hang_up(&g);
    CHECK(g.lasts == 1 && g.fails == 0 && str_is(buf_str(&g.body), "abcdef"));
    CHECK(!http_conn_is_idle(g.conn) && g.idle_closes == 0);
    rig_done(&g);
}

static void refuses_what_is_no_answer(void)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n",
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct rig g;

        rig_open(&g);
        test_note("case %zu", i);
        call(&g, "GET", 0);
        answer(&g, bad[i]);
        CHECK(g.fails == 1 && g.lasts == 0 && !g.is_fresh && g.err.kind == ERR_INVALID);
        CHECK(!http_conn_is_idle(g.conn));
        rig_done(&g);
    }
}

static void tells_when_the_peer_is_gone(void)
{
    static const struct {
        const char *text;
        bool is_fresh;
    } cases[] = {
        {"",                                                                true },
        {"HTTP/1.1 200",                                                    false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab",                  false},
        {"HTTP/1.1 100 Continue\r\n\r\n",                                   false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n", false},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct rig g;

        rig_open(&g);
        test_note("case %zu", i);
        call(&g, "GET", 0);
        answer(&g, cases[i].text);
        hang_up(&g);
        CHECK(g.fails == 1 && g.lasts == 0 && g.is_fresh == cases[i].is_fresh);
        rig_done(&g);
    }
}

static void limits_interim_answers(void)
{
    struct rig g;

    rig_open(&g);
    call(&g, "GET", 0);
    for (int i = 0; i < 20 && g.fails == 0; i++)
        answer(&g, "HTTP/1.1 102 Wait\r\n\r\n");
    CHECK(g.fails == 1);
    rig_done(&g);
}

static void is_used_again(void)
{
    struct rig g;

    rig_open(&g);
    g.call_on_last = true;
    call(&g, "GET", 0);
    answer(&g, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    CHECK(g.lasts == 1 && !http_conn_is_idle(g.conn));
    answer(&g, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
    CHECK(g.lasts == 2 && http_conn_is_idle(g.conn) && str_is(buf_str(&g.body), "ab"));
    call(&g, "HEAD", 0);
    answer(&g, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n");
    CHECK(g.lasts == 3 && http_conn_is_idle(g.conn));
    hang_up(&g);
    CHECK(g.idle_closes == 1 && g.conn == NULL);
    rig_done(&g);
}

static void is_not_used_by_a_talkative_peer(void)
{
    struct rig g;

    rig_open(&g);
    CHECK(http_conn_is_usable(g.conn));
    CHECK(send(g.peer, "H", 1, 0) == 1); /* the loop had no turn yet */
    CHECK(http_conn_is_idle(g.conn) && !http_conn_is_usable(g.conn));
    rig_done(&g);
    rig_open(&g);
    close(g.peer);
    g.peer = -1;
    CHECK(http_conn_is_idle(g.conn) && !http_conn_is_usable(g.conn));
    rig_done(&g);
    rig_open(&g);
    answer(&g, "HTTP/1.1 408 Request Timeout\r\n\r\n");
    CHECK(g.idle_closes == 1 && g.fails == 0);
    rig_done(&g);
}

static void both_halves_are_independent(void)
{
    struct rig g;

    rig_open(&g);
    call(&g, "POST", -1);
    CHECK(http_conn_write(g.conn, STR("a")));
    expect(&g, "POST /t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
    answer(&g, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n");
    CHECK(g.heads == 1 && str_is(buf_str(&g.body), "x"));
    CHECK(http_conn_write(g.conn, STR("b")));
    expect(&g, "1\r\nb\r\n");
    answer(&g, "0\r\n\r\n");
    CHECK(g.lasts == 1 && !http_conn_is_idle(g.conn)); /* the request is not over */
    CHECK(http_conn_write(g.conn, STR("c")));
    http_conn_end(g.conn);
    expect(&g, "1\r\nc\r\n0\r\n\r\n");
    CHECK(http_conn_is_idle(g.conn));
    call(&g, "PUT", 10); /* announced, but not all of it sent */
    CHECK(http_conn_write(g.conn, STR("c")));
    http_conn_end(g.conn);
    answer(&g, "HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n");
    CHECK(g.lasts == 2 && !http_conn_is_idle(g.conn));
    rig_done(&g);
}

static void keeps_an_answer_in_front_of_a_reset(void)
{
    static const char text[] = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";
    static const char piece[64 << 10];
    struct rig g;

    rig_open(&g);
    call(&g, "PUT", BULK);
    ignore(http_conn_write(g.conn, (struct str){piece, sizeof(piece)})); /* a first part */
    CHECK(send(g.peer, text, sizeof(text) - 1, 0) == sizeof(text) - 1);
    close(g.peer); /* with unread bytes */
    g.peer = -1;
    for (int i = 0; i < 20; i++) {
        ignore(http_conn_write(g.conn, (struct str){piece, sizeof(piece)})); /* fails some time */
        turn(&g);
    }
    CHECK(g.heads == 1 && g.status == 413 && g.lasts == 1 && g.fails == 0);
    CHECK(!http_conn_is_idle(g.conn));
    rig_done(&g);
}

static void holds_little_for_a_slow_consumer(void)
{
    static char piece[64 << 10];
    struct rig g;
    size_t sent = 0, stuck_at;

    rig_open(&g);
    g.take_max = 0;
    call(&g, "GET", 0);
    answer(&g, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    for (int i = 0; i < 200; i++) {
        ssize_t n = send(g.peer, piece, sizeof(piece), MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        turn(&g);
    }
    test_note("accepted %zu KiB", sent >> 10);
    CHECK(sent < 2 << 20 && g.body.len == 0);
    stuck_at = sent;
    g.take_max = 1000; /* each time a bit */
    http_conn_resume(g.conn);
    turn(&g);
    CHECK(g.body.len == 1000);
    g.take_max = SIZE_MAX;
    http_conn_resume(g.conn);
    for (int i = 0; i < WAIT_MS && g.lasts == 0; i++) {
        size_t left = BULK - sent;
        ssize_t n = send(g.peer, piece, left < sizeof(piece) ? left : sizeof(piece), MSG_DONTWAIT);

        sent += n > 0 ? (size_t)n : 0;
        turn(&g);
    }
    CHECK(stuck_at < BULK && g.body.len == BULK && http_conn_is_idle(g.conn));
    rig_done(&g);
}

static void says_when_to_go_on_writing(void)
{
    static const char piece[16 << 10];
    struct rig g;
    size_t written = 0;
    bool may_go_on = true;

    rig_open(&g);
    call(&g, "PUT", BULK);
    while (may_go_on && written < BULK) {
        may_go_on = http_conn_write(g.conn, (struct str){piece, sizeof(piece)});
        written += sizeof(piece);
    }
    test_note("wrote %zu KiB", written >> 10);
    CHECK(!may_go_on && written < 2 << 20);
    for (int i = 0; i < 20; i++)
        turn(&g);
    CHECK(g.drains == 0);
    for (int i = 0; i < WAIT_MS && g.drains == 0; i++) {
        peer_read(&g);
        turn(&g);
    }
    CHECK(g.drains == 1);
    rig_done(&g);
}

static void may_be_freed_by_any_callback(void)
{
    struct rig g;

    for (int i = 0; i < 4; i++) {
        rig_open(&g);
        g.free_on_head = i == 0;
        g.free_on_body = i == 1;
        g.free_on_last = i == 2;
        g.free_on_fail = i == 3;
        call(&g, "GET", 0);
        answer(&g, i == 3 ? "nonsense\r\n" : "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
        CHECK(g.conn == NULL);
        CHECK(recv(g.peer, &(char){0}, 1, MSG_DONTWAIT) == 1);
        rig_done(&g);
    }
}

static void upgrades(void)
{
    const struct http_field host = {STR("Host"), STR("h")};
    const struct call_request r = {.method = STR("GET"),
                                   .target = STR("/ws"),
                                   .fields = &host,
                                   .field_count = 1,
                                   .is_upgrade = true,
                                   .upgrade = STR("websocket")};

    for (int i = 0; i < 2; i++) {
        struct rig g;

        rig_open(&g);
        g.detach_on_head = i == 0;
        http_conn_call(g.conn, &r, &events, &g);
        expect(&g, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\n"
                   "Upgrade: websocket\r\n\r\n");
        answer(&g, "HTTP/1.1 101 Go\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nfirst");
        CHECK(g.heads == 1 && g.lasts == 0 && g.status == 101);
        if (i == 1) {
            g.detached = http_conn_detach(g.conn, &g.rest);
            g.conn = NULL;
        }
        CHECK(g.detached >= 0 && str_is(buf_str(&g.rest), "first"));
        buf_done(&g.rest);
        close(g.detached);
        rig_done(&g);
    }
}

static void refuses_to_write_a_broken_request(void)
{
    const struct http_field bad = {STR("X"), STR("a\r\nB: c")};
    const struct call_request requests[] = {
        {.method = STR("GET"), .target = STR("/"), .fields = &bad,         .field_count = 1},
        {.method = STR("GET"),                    .target = STR("/a b")                  },
        {.method = STR("G T"), .target = STR("/"), .length = 5},
    };

    for (size_t i = 0; i < COUNT_OF(requests); i++) {
        struct rig g;

        rig_open(&g);
        http_conn_call(g.conn, &requests[i], &events, &g);
        CHECK(g.fails == 0); /* never from inside the call */
        if (requests[i].length > 0)
            ignore(http_conn_write(g.conn, STR("abcde"))); /* goes nowhere */
        turn(&g);
        CHECK(g.fails == 1 && g.err.kind == ERR_INVALID);
        CHECK(recv(g.peer, &(char){0}, 1, MSG_DONTWAIT) == 0);
        rig_done(&g);
    }
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"writes requests",                     writes_requests                    },
        {"reads answers of every shape",        reads_answers_of_every_shape       },
        {"reads until the end",                 reads_until_the_end                },
        {"refuses what is no answer",           refuses_what_is_no_answer          },
        {"tells when the peer is gone",         tells_when_the_peer_is_gone        },
        {"limits interim answers",              limits_interim_answers             },
        {"is used again",                       is_used_again                      },
        {"is not used by a talkative peer",     is_not_used_by_a_talkative_peer    },
        {"both halves are independent",         both_halves_are_independent        },
        {"keeps an answer in front of a reset", keeps_an_answer_in_front_of_a_reset},
        {"holds little for a slow consumer",    holds_little_for_a_slow_consumer   },
        {"says when to go on writing",          says_when_to_go_on_writing         },
        {"may be freed by any callback",        may_be_freed_by_any_callback       },
        {"upgrades",                            upgrades                           },
        {"refuses to write a broken request",   refuses_to_write_a_broken_request  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

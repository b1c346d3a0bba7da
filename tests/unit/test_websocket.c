/* SPDX-License-Identifier: Apache-2.0 */
/* http/websocket against a scripted peer on a socket pair: the handshake, messages in any pieces,
 * what is refused, both ways to say goodbye; http/ws_frame; SHA-1 by its published vectors. */
#include <sys/socket.h>

#include "base/digest.h"
#include "base/id.h"
#include "http/websocket.h"
#include "io/socket.h"
#include "test.h"

enum { WAIT_MS = 5000 };

struct rig {
    struct loop *loop;
    struct websocket *w;
    int peer;
    struct buf got; /* what the peer received */
    unsigned opens, messages, closes, alive, code;
    struct buf last;
    bool is_text, free_on_message;
    struct err err;
};

static void on_open(void *ctx)
{
    ((struct rig *)ctx)->opens++;
}

static void on_message(void *ctx, bool is_text, struct str data)
{
    struct rig *g = ctx;

    g->messages++;
    g->is_text = is_text;
    buf_clear(&g->last);
    buf_add_str(&g->last, data);
    if (g->free_on_message) {
        websocket_free(g->w);
        g->w = NULL;
    }
}

static void on_alive(void *ctx)
{
    ((struct rig *)ctx)->alive++;
}

static void on_close(void *ctx, unsigned code, const struct err *err)
{
    struct rig *g = ctx;

    g->closes++;
    g->code = code;
    if (err != NULL)
        g->err = *err;
    websocket_free(g->w);
    g->w = NULL;
}

static const struct websocket_events events = {on_open, on_message, on_alive, NULL, on_close};

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void turn(struct rig *g)
{
    struct timer t = {0};
    char space[8192];
    struct err err;
    ssize_t n;

    timer_start(g->loop, &t, 1, stop, g->loop);
    CHECK(loop_run(g->loop, &err) == 0);
    timer_stop(&t);
    while ((n = recv(g->peer, space, sizeof(space), MSG_DONTWAIT)) > 0)
        buf_add(&g->got, space, (size_t)n);
}

static void say(struct rig *g, const void *data, size_t len)
{
    const char *at = data;

    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(g->peer, at + sent, len - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0)
            sent += (size_t)n;
        turn(g);
    }
}

static void open_unshaken(struct rig *g)
{
    struct http_conn *conn;
    int fds[2];
    struct err err;

    *g = (struct rig){0};
    buf_init(&g->got, 256 << 20);
    buf_init(&g->last, 128 << 20);
    CHECK(loop_new(&g->loop, &err) == 0);
    CHECK(socket_pair(SOCK_STREAM, fds, &err) == 0);
    g->peer = fds[1];
    CHECK(http_conn_new(g->loop, fds[0], false, &conn, &err) == 0);
    g->w = websocket_new(
        g->loop,
        &(struct websocket_spec){.conn = conn, .host = STR("engine:1"), .target = STR("/ws?x=1")},
        &events, g);
    while (g->got.len < 4 || memcmp(g->got.at + g->got.len - 4, "\r\n\r\n", 4) != 0)
        turn(g);
}

static void answer(struct rig *g, const char *wrong, const char *behind)
{
    char *key = memmem(g->got.at, g->got.len, "Sec-WebSocket-Key: ", 19);
    uint8_t digest[SHA1_SIZE];
    struct buf text;

    CHECK(key != NULL);
    CHECK(memmem(g->got.at, g->got.len, "GET /ws?x=1 HTTP/1.1\r\n", 22) == g->got.at);
    CHECK(memmem(g->got.at, g->got.len, "Upgrade: websocket\r\n", 20) != NULL);
    buf_init(&text, 1024);
    buf_add(&text, key + 19, 24);
    buf_add_text(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    buf_add_text(&text, wrong);
    sha1_of(buf_str(&text), digest);
    buf_clear(&text);
    buf_add_text(&text, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\nSec-WebSocket-Accept: ");
    base64_encode(&text, digest, sizeof(digest));
    buf_add_text(&text, "\r\n\r\n");
    buf_add_text(&text, behind);
    say(g, text.at, text.len);
    buf_done(&text);
    buf_clear(&g->got);
}

static void rig_open(struct rig *g)
{
    open_unshaken(g);
    answer(g, "", "");
    for (int i = 0; i < WAIT_MS && g->opens == 0; i++)
        turn(g);
    CHECK(g->opens == 1 && websocket_is_open(g->w));
}

static void rig_done(struct rig *g)
{
    websocket_free(g->w);
    close(g->peer);
    buf_done(&g->got);
    buf_done(&g->last);
    loop_free(g->loop);
}

static void wait_message(struct rig *g, unsigned count)
{
    for (int i = 0; i < WAIT_MS && g->messages < count && g->closes == 0; i++)
        turn(g);
    CHECK(g->messages == count);
}

static void wait_close(struct rig *g)
{
    for (int i = 0; i < WAIT_MS && g->closes == 0; i++)
        turn(g);
    CHECK(g->closes == 1);
}

static void hashes(void)
{
    /* clang-format off */
    static const struct {
        const char *text, *hex;
    } cases[] = {
        {"", "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"abc", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "84983e441c3bd26ebaae4aa1f95129e5e54670f1"},
        {"0123456701234567012345670123456701234567012345670123456701234567", "e0c094e867ef46c350ef54a7f59dd60bed92ae83"},
    };
    /* clang-format on */

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        uint8_t digest[SHA1_SIZE];
        char hex[2 * SHA1_SIZE + 1];

        sha1_of(str_of(cases[i].text), digest);
        hex_encode(digest, sizeof(digest), hex);
        CHECK(strcmp(hex, cases[i].hex) == 0);
    }
}

static void receives(void)
{
    /* A text in three frames with a ping amid, by the byte; then a long binary one. */
    static const char pieces[] = "\x01\x03Hel\x89\x02hi\x00\x01l\x80\x01o";
    char *big = malloc((5 << 20) + 10);
    struct rig g;

    rig_open(&g);
    for (size_t i = 0; i + 1 < sizeof(pieces); i++)
        say(&g, pieces + i, 1);
    wait_message(&g, 1);
    CHECK(g.is_text && str_is(buf_str(&g.last), "Hello") && g.alive == 4);
    CHECK(g.got.len == 8 && (uint8_t)g.got.at[0] == 0x8a && (uint8_t)g.got.at[1] == 0x82);
    memset(big, 'x', (5 << 20) + 10);
    memcpy(big, "\x82\x7f\0\0\0\0\0\x50\0\0", 10);
    say(&g, big, (5 << 20) + 10);
    wait_message(&g, 2);
    CHECK(!g.is_text && g.last.len == 5 << 20);
    free(big);
    rig_done(&g);
}

static void sends(void)
{
    struct ws_order order = {0};
    struct ws_frame f;
    enum ws_code code;
    ssize_t head;
    struct rig g;
    char *big = malloc(70000);

    rig_open(&g);
    memset(big, 'y', 70000);
    ignore(websocket_send(g.w, false, (struct str){big, 70000}));
    for (int i = 0; i < WAIT_MS && g.got.len < 70014; i++)
        turn(&g);
    head = ws_frame_head(buf_str(&g.got), &order, &f, &code);
    CHECK(head == 14 && f.is_masked && f.is_final && f.opcode == WS_BINARY && f.length == 70000);
    ws_mask(g.got.at + head, 70000, f.mask, 0);
    CHECK(memcmp(g.got.at + head, big, 70000) == 0);
    free(big);
    rig_done(&g);
}

static void refuses(void)
{
    static const struct {
        const char *what;
        const char *bytes;
        size_t len;
        unsigned code; /* in our close frame */
    } cases[] = {
        {"a reserved bit",            "\xc1\x00",                     2,  WS_PROTOCOL },
        {"an unknown opcode",         "\x83\x00",                     2,  WS_PROTOCOL },
        {"a mask",                    "\x81\x80\0\0\0\0",             6,  WS_PROTOCOL },
        {"a continuation of nothing", "\x80\x00",                     2,  WS_PROTOCOL },
        {"a second beginning",        "\x01\x00\x01\x00",             4,  WS_PROTOCOL },
        {"a ping in pieces",          "\x09\x00",                     2,  WS_PROTOCOL },
        {"a long ping",               "\x89\x7e\x01\x00",             4,  WS_PROTOCOL },
        {"a length that is too long", "\x81\x7e\x00\x05",             4,  WS_PROTOCOL },
        {"a byte of a code",          "\x88\x01\x03",                 3,  WS_PROTOCOL },
        {"a code that is never sent", "\x88\x02\x03\xed",             4,  WS_PROTOCOL },
        {"a text of bytes",           "\x81\x01\xff",                 3,  WS_NOT_UTF8 },
        {"64 MiB and a byte",         "\x82\x7f\0\0\0\0\x04\0\0\x01", 10, WS_TOO_LARGE},
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct ws_order order = {0};
        struct ws_frame f;
        enum ws_code code;
        struct rig g;
        ssize_t head;

        rig_open(&g);
        say(&g, cases[i].bytes, cases[i].len);
        wait_close(&g);
        turn(&g);
        test_note("%s", cases[i].what);
        CHECK(g.code == WS_ABNORMAL && g.err.kind != ERR_NONE && g.messages == 0);
        head = ws_frame_head(buf_str(&g.got), &order, &f, &code);
        CHECK(head == 6 && f.opcode == WS_CLOSE && f.length == 2);
        ws_mask(g.got.at + head, 2, f.mask, 0);
        CHECK(((unsigned)(uint8_t)g.got.at[6] << 8 | (uint8_t)g.got.at[7]) == cases[i].code);
        rig_done(&g);
    }
}

static void says_goodbye(void)
{
    struct rig g;

    rig_open(&g);
    say(&g, "\x88\x06\x03\xe9 bye", 8);
    wait_close(&g);
    CHECK(g.code == WS_GOING && g.err.kind == ERR_NONE);
    rig_done(&g);

    rig_open(&g);
    websocket_leave(g.w, WS_NORMAL, WS_LEAVE_MS);
    for (int i = 0; i < WAIT_MS && g.got.len < 8; i++)
        turn(&g);
    CHECK(g.got.len == 8 && (uint8_t)g.got.at[0] == 0x88);
    say(&g, "\x88\x02\x03\xe8", 4);
    wait_close(&g);
    CHECK(g.code == WS_NORMAL);
    rig_done(&g);

    rig_open(&g);
    shutdown(g.peer, SHUT_RDWR);
    wait_close(&g);
    CHECK(g.code == WS_ABNORMAL);
    rig_done(&g);
}

static void believes_no_other_answer(void)
{
    struct rig g;

    open_unshaken(&g);
    answer(&g, "wrong", "");
    wait_close(&g);
    CHECK(g.opens == 0 && g.err.kind == ERR_INVALID);
    rig_done(&g);

    open_unshaken(&g);
    say(&g, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 45);
    wait_close(&g);
    CHECK(g.opens == 0 && g.err.kind == ERR_DENIED);
    rig_done(&g);
}

static void frames_behind_the_head(void)
{
    struct rig g;

    open_unshaken(&g);
    g.free_on_message = true;
    answer(&g, "", "\x81\x02hi\x81\x02no");
    wait_message(&g, 1);
    CHECK(g.opens == 1 && g.w == NULL && str_is(buf_str(&g.last), "hi"));
    rig_done(&g);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"SHA-1",                                             hashes                  },
        {"messages in pieces, pings amid, 5 MiB",             receives                },
        {"what is sent is masked and whole",                  sends                   },
        {"what is no frame ends it, with a code",             refuses                 },
        {"goodbyes of both sides, and none",                  says_goodbye            },
        {"an answer that is no WebSocket's",                  believes_no_other_answer},
        {"frames right behind the head; freed by a callback", frames_behind_the_head  },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* interpreter/zmtp and jupyter_message against a peer that is written out here byte by byte. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/digest.h"
#include "interpreter/jupyter_message.h"
#include "interpreter/zmtp.h"
#include "io/socket.h"
#include "test.h"

enum { WAIT_MS = 20000 };

static struct loop *loop;
static struct zmtp z;
static int listener = -1, peer = -1;
static char path[64];
static struct buf got; /* "open", "[a|b]", "dropped", "fail" */
static struct timer timer;

static void on_open(void *ctx)
{
    buf_add_text(&got, "open ");
    ignore(ctx == NULL); /* there is one socket */
}

static void on_message(void *ctx, const struct str *frames, size_t count)
{
    ignore(ctx == NULL); /* the same */
    for (size_t i = 0; i < count; i++)
        buf_printf(&got, "%s%.*s", i == 0 ? "[" : "|", STR_ARG(str_upto(frames[i], 16)));
    buf_add_text(&got, "] ");
    loop_stop(loop);
}

static void on_dropped(void *ctx)
{
    ignore(ctx == NULL); /* the same */
    buf_add_text(&got, "dropped ");
    loop_stop(loop);
}

static void on_fail(void *ctx, const char *why)
{
    ignore(ctx == NULL || why == NULL); /* the same */
    buf_add_text(&got, "fail ");
    zmtp_close(&z);
    loop_stop(loop);
}

static void on_late(void *ctx)
{
    ignore(ctx == NULL); /* nothing to say */
    loop_stop(loop);
}

static void turn(uint32_t wait_ms)
{
    struct err err;

    timer_start(loop, &timer, wait_ms, on_late, NULL);
    CHECK(loop_run(loop, &err) == 0);
    timer_stop(&timer);
}

static void begin(enum zmtp_kind kind)
{
    static const struct zmtp_events events = {on_open, on_message, on_dropped, on_fail};
    struct err err;

    snprintf(path, sizeof(path), "/tmp/test-zmtp.%d", (int)getpid());
    buf_init(&got, 1 << 20);
    CHECK(loop_new(&loop, &err) == 0);
    CHECK(socket_listen_unix(path, SOCK_STREAM, &listener, &err) == 0);
    CHECK(zmtp_open(&z, loop, path, kind, &events, NULL, &err) == 0);
    peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    CHECK(peer >= 0);
}

static void end(void)
{
    zmtp_close(&z);
    close(peer);
    close(listener);
    unlink(path);
    loop_free(loop);
    buf_done(&got);
}

static void say(const void *bytes, size_t len)
{
    CHECK(send(peer, bytes, len, MSG_NOSIGNAL) == (ssize_t)len);
}

static void greet(void)
{
    static const char ready[] = "\4\31\5READY\13Socket-Type\0\0\0\3PUB";
    unsigned char greeting[64] = {[0] = 0xff, [9] = 0x7f, [10] = 3, [11] = 1};

    memcpy(greeting + 12, "NULL", 4);
    say(greeting, sizeof(greeting));
    say(ready, sizeof(ready) - 1);
}

static size_t hear(char *to, size_t size)
{
    ssize_t n = recv(peer, to, size, MSG_DONTWAIT);

    return n < 0 ? 0 : (size_t)n;
}

static void holds_what_is_sent_early(void)
{
    static const char mine[] = "\4\31\5READY\13Socket-Type\0\0\0\3SUB";
    char heard[256];
    const struct str hello = STR("hello");

    begin(ZMTP_SUB);
    zmtp_send(&z, &hello, 1);
    CHECK(hear(heard, sizeof(heard)) == 64 + 2 + 25);
    CHECK((unsigned char)heard[0] == 0xff && memcmp(heard + 12, "NULL", 5) == 0);
    CHECK(memcmp(heard + 66, mine + 2, 25) == 0);
    greet();
    turn(200);
    CHECK(str_is(buf_str(&got), "open "));
    CHECK(hear(heard, sizeof(heard)) == 3 + 7);
    CHECK(memcmp(heard, "\0\1\1\0\5hello", 10) == 0);
    end();
}

static void reads_frames_in_any_pieces(void)
{
    static const char message[] = "\1\1a\1\0\0\2bc";

    begin(ZMTP_DEALER);
    greet();
    for (size_t i = 0; i < sizeof(message) - 1; i++) {
        say(message + i, 1);
        turn(i + 2 == sizeof(message) ? WAIT_MS : 5);
    }
    CHECK(str_is(buf_str(&got), "open [a||bc] "));
    end();
}

static void drops_what_is_too_large(void)
{
    static const char head[] = "\2\0\0\0\0\2\0\0\1", small[] = "\0\1x";
    static char zeros[64 << 10];

    begin(ZMTP_DEALER);
    greet();
    say(head, sizeof(head) - 1); /* 32 MiB and a byte */
    for (size_t i = 0; i < (32 << 20) / sizeof(zeros); i++) {
        size_t sent = 0;

        while (sent < sizeof(zeros)) {
            ssize_t n = send(peer, zeros + sent, sizeof(zeros) - sent, MSG_DONTWAIT | MSG_NOSIGNAL);

            CHECK(n > 0 || errno == EAGAIN);
            sent += n > 0 ? (size_t)n : 0;
            if (n <= 0)
                turn(1);
        }
    }
    say(zeros, 1);
    turn(WAIT_MS);
    CHECK(str_is(buf_str(&got), "open dropped "));
    say(small, sizeof(small) - 1);
    turn(WAIT_MS);
    CHECK(str_is(buf_str(&got), "open dropped [x] "));
    end();
}

static void refuses_what_is_no_peer(void)
{
    static const char http[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nServer: none at all\r\n\r\n";

    begin(ZMTP_DEALER);
    say(http, sizeof(http) - 1);
    turn(WAIT_MS);
    CHECK(str_is(buf_str(&got), "fail "));
    end();
}

static void signs_and_checks(void)
{
    const struct jupyter_request r = {"execute_request", "id1", STR("{}"), STR("{\"code\":\"1\"}")};
    struct jupyter_session s, other;
    struct str frames[JUPYTER_FRAMES];
    struct jupyter_message m;
    struct arena a;
    struct buf mem;
    struct err err;

    jupyter_session_init(&s);
    jupyter_session_init(&other);
    buf_init(&mem, 1 << 20);
    arena_init(&a, 1 << 20);
    jupyter_write(&s, &r, &mem, frames);
    CHECK(jupyter_read(&s, frames, COUNT_OF(frames), &a, &m, &err) == 0);
    CHECK(str_is(m.type, "execute_request") && str_is(m.content, "{\"code\":\"1\"}"));
    CHECK(jupyter_read(&other, frames, COUNT_OF(frames), &a, &m, &err) != 0);
    CHECK(err.kind == ERR_DENIED);
    frames[5] = STR("{\"code\":\"2\"}");
    CHECK(jupyter_read(&s, frames, COUNT_OF(frames), &a, &m, &err) != 0);
    CHECK(jupyter_read(&s, frames, 4, &a, &m, &err) != 0 && err.kind == ERR_INVALID);
    arena_done(&a);
    buf_done(&mem);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"what is sent early waits for the peer",  holds_what_is_sent_early  },
        {"frames come in any pieces",              reads_frames_in_any_pieces},
        {"a message that is too large is dropped", drops_what_is_too_large   },
        {"who does not speak ZMTP is refused",     refuses_what_is_no_peer   },
        {"messages are signed",                    signs_and_checks          },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

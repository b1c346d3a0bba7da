/* SPDX-License-Identifier: Apache-2.0 */
/* http/bypass: bodies that go from the socket into a file past our memory. Those between sockets
 * are tested through edge (relay_test.py). */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "http_help.h"

enum {
    BODY = (2 << 20) + 12345, /* more than one turn of a pipe */
};

struct state {
    int fd;
    size_t moved, copied; /* past us, and through our hands */
    bool is_refused;      /* the file took less than it should */
    unsigned gone;
};

static char body[BODY + 1];

static void on_moved(void *ctx, size_t len)
{
    struct state *st = ctx;

    CHECK(len > 0);
    st->moved += len;
}

static size_t take(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct state *st = ctx;
    ssize_t put = data.len == 0 ? 0 : write(st->fd, data.at, data.len);

    st->copied += data.len;
    if (put != (ssize_t)data.len) {
        st->is_refused = true;
        exchange_on_gone(x, NULL, NULL);
        exchange_reply(x, 507, NULL, STR("full"));
        return data.len;
    }
    exchange_splice_file(x, st->fd, on_moved, st);
    if (is_last)
        exchange_reply(x, 200, NULL, STR("taken"));
    return data.len;
}

static void on_gone(void *ctx, struct exchange *x)
{
    struct state *st = ctx;

    ignore((long)exchange_is_started(x));
    st->gone++;
}

static void on_request(void *ctx, struct exchange *x)
{
    if (str_is(exchange_head(x)->path, "/next")) {
        exchange_reply(x, 200, NULL, STR("next"));
        return;
    }
    exchange_on_gone(x, on_gone, ctx);
    exchange_on_body(x, take, ctx);
}

/* An anonymous file with `flags`. */
static void open_rig(struct rig *g, struct state *st, int flags)
{
    char name[] = "/tmp/test-bypass-XXXXXX";
    int made;

    rig_open(g, NULL, on_request, st);
    made = mkstemp(name);
    CHECK(made >= 0);
    *st = (struct state){.fd = open(name, O_RDWR | O_CLOEXEC | flags)};
    CHECK(st->fd >= 0 && unlink(name) == 0);
    close(made);
    for (size_t i = 0; i < BODY; i++)
        body[i] = (char)('a' + i * 2654435761u % 23);
}

static void close_rig(struct rig *g, struct state *st)
{
    close(st->fd);
    rig_done(g);
}

static void check_file(const struct state *st)
{
    static char got[BODY + 1];

    CHECK(pread(st->fd, got, sizeof(got), 0) == BODY && memcmp(got, body, BODY) == 0);
    CHECK(st->moved + st->copied == BODY && st->gone == 0);
}

static void send_head(struct rig *g)
{
    char head[128];

    snprintf(head, sizeof(head), "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", BODY);
    rig_send(g, head);
}

static void goes_into_a_file(void)
{
    struct state st;
    struct rig g;
    char last;

    open_rig(&g, &st, 0);
    send_head(&g);
    last = body[BODY - 100]; /* we are woken for the last bytes too, though they are few */
    body[BODY - 100] = '\0';
    rig_send(&g, body);
    body[BODY - 100] = last;
    rig_wait(&g, 20);
    rig_send(&g, body + BODY - 100);
    rig_send(&g, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect_part(&g, "taken");
    rig_expect_part(&g, "next");
    CHECK(st.moved > BODY / 2); /* the first read is ours, and what pieces leave in the in-box */
    check_file(&st);
    CHECK(rig_session(&g)->stream.in.cap == 0);
    close_rig(&g, &st);
}

/* splice(2) refuses such a file once bytes are in the pipe already. */
static void comes_back_from_a_file_that_refuses(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, O_APPEND);
    send_head(&g);
    rig_send(&g, body);
    rig_send(&g, "GET /next HTTP/1.1\r\nHost: h\r\n\r\n");
    rig_expect_part(&g, "taken");
    rig_expect_part(&g, "next");
    CHECK(st.moved == 0);
    check_file(&st);
    close_rig(&g, &st);
}

/* The consumer meets the error itself, behind all that fitted. */
static void tells_of_a_full_file(void)
{
    const struct rlimit small = {1 << 20, RLIM_INFINITY};
    struct rlimit before;
    struct state st;
    struct rig g;

    open_rig(&g, &st, 0);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0 && setrlimit(RLIMIT_FSIZE, &small) == 0);
    signal(SIGXFSZ, SIG_IGN);
    send_head(&g);
    while (!st.is_refused) {
        ignore(send(g.peer, body, sizeof(body) / 8, MSG_DONTWAIT | MSG_NOSIGNAL));
        rig_read(&g);
    }
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    rig_expect_part(&g, "full");
    CHECK(lseek(st.fd, 0, SEEK_END) == 1 << 20);
    close_rig(&g, &st);
}

static bool is_gone(void *ctx)
{
    const struct state *st = ctx;

    return st->gone > 0;
}

static void tells_of_a_peer_that_left(void)
{
    struct state st;
    struct rig g;

    open_rig(&g, &st, 0);
    send_head(&g);
    body[BODY - 1] = '\0';
    rig_send(&g, body);
    rig_hang_up(&g);
    rig_until(&g, is_gone, &st);
    CHECK(st.moved > 0 && lseek(st.fd, 0, SEEK_END) == BODY - 1);
    close_rig(&g, &st);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"goes into a file",                    goes_into_a_file                   },
        {"comes back from a file that refuses", comes_back_from_a_file_that_refuses},
        {"tells of a full file",                tells_of_a_full_file               },
        {"tells of a peer that left",           tells_of_a_peer_that_left          },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

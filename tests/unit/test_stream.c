/* SPDX-License-Identifier: Apache-2.0 */
/* io/stream: bounds both ways, half-close, failures, what callbacks may do. */
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <stdio.h>
#include <sys/socket.h>

#include "io/socket.h"
#include "io/stream.h"
#include "io_help.h"
#include "test.h"

enum {
    IN_MAX = 64 << 10,
    OUT_MAX = 256 << 10,
    BULK = 5 << 20,
};

/* One end under test. */
struct end {
    struct loop *loop;
    struct stream stream;
    struct buf got;
    size_t eat_max; /* bytes consumed per on_data; 0: none */
    int data_calls, drain_calls, fail_calls;
    bool stops_at_eof, stops_at_fail, stops_at_data;
    bool is_calling; /* our code is inside a stream_… call: no callback may come */
    size_t left;     /* bytes a producer has still to write */
    size_t most_held;
};

static void on_data(void *ctx)
{
    struct end *e = ctx;
    struct str in = buf_str(&e->stream.in);

    CHECK(!e->is_calling);
    e->data_calls++;
    if (in.len > e->most_held)
        e->most_held = in.len;
    in = str_upto(in, e->eat_max);
    if (in.len > 0) {
        buf_add_str(&e->got, in);
        stream_consume(&e->stream, in.len);
    }
    if (e->stops_at_data || (e->stops_at_eof && e->stream.eof))
        loop_stop(e->loop);
}

static void produce(struct end *e)
{
    static const char block[10000] = {'x'};
    bool may_go_on = true;

    while (e->left > 0 && may_go_on) {
        size_t len = e->left < sizeof(block) ? e->left : sizeof(block);

        e->is_calling = true;
        may_go_on = stream_write(&e->stream, (struct str){block, len});
        e->is_calling = false;
        e->left -= len;
        CHECK(stream_unsent(&e->stream) <= STREAM_HIGH + sizeof(block));
    }
    if (e->left == 0)
        stream_end(&e->stream);
}

static void on_drain(void *ctx)
{
    struct end *e = ctx;

    CHECK(!e->is_calling);
    CHECK(stream_unsent(&e->stream) <= STREAM_LOW);
    e->drain_calls++;
    produce(e);
}

static void on_fail(void *ctx)
{
    struct end *e = ctx;

    CHECK(!e->is_calling);
    CHECK(e->stream.sys != 0);
    e->fail_calls++;
    if (e->stops_at_fail)
        loop_stop(e->loop);
}

static const struct stream_events events = {on_data, on_drain, on_fail, IN_MAX, OUT_MAX};
static const struct stream_events small = {on_data, on_drain, on_fail, 1000, 1000};

static void open_end(struct end *e, struct loop *l, int fd)
{
    struct err err;

    *e = (struct end){.loop = l, .eat_max = SIZE_MAX};
    buf_init(&e->got, 64 << 20);
    CHECK(stream_open(&e->stream, l, fd, false, &events, e, &err) == 0);
}

static void close_end(struct end *e)
{
    stream_close(&e->stream);
    stream_close(&e->stream);
    buf_done(&e->got);
}

static void carries_bytes_both_ways(void)
{
    struct loop *l = help_loop();
    struct end a, b;
    int fds[2];
    static const struct str parts[] = {
        {"one ",  4},
        {NULL,    0},
        {"two ",  4},
        {"three", 5}
    };

    help_pair(fds);
    open_end(&a, l, fds[0]);
    open_end(&b, l, fds[1]);
    b.stops_at_data = true;
    CHECK(stream_writev(&a.stream, parts, COUNT_OF(parts)));
    CHECK(stream_unsent(&a.stream) == 0 && a.stream.out.base == NULL);
    help_run(l);
    CHECK(str_is(buf_str(&b.got), "one two three"));
    CHECK(b.stream.in.base == NULL); /* an empty box holds no memory */
    a.stops_at_data = true;
    CHECK(stream_write(&b.stream, STR("back")));
    help_run(l);
    CHECK(str_is(buf_str(&a.got), "back") && a.data_calls == 1);
    close_end(&a);
    close_end(&b);
    loop_free(l);
}

static void bulk_is_complete_and_bounded(void)
{
    struct loop *l = help_loop();
    struct end a, b;
    int fds[2];

    help_pair(fds);
    open_end(&a, l, fds[0]);
    open_end(&b, l, fds[1]);
    b.stops_at_eof = true;
    b.eat_max = 7000; /* slower than it arrives */
    a.left = BULK;
    produce(&a);
    CHECK(a.left > 0);
    help_run(l);
    while (b.stream.in.len > 0)
        on_data(&b);
    CHECK(b.got.len == BULK && b.stream.eof);
    CHECK(b.most_held <= IN_MAX);
    CHECK(a.drain_calls > 0 && a.fail_calls + b.fail_calls == 0);
    close_end(&a);
    close_end(&b);
    loop_free(l);
}

static void consumer_that_never_eats_blocks_the_peer(void)
{
    struct loop *l = help_loop();
    struct end a, b;
    int fds[2], turns;

    help_pair(fds);
    open_end(&a, l, fds[0]);
    open_end(&b, l, fds[1]);
    b.eat_max = 0;
    a.left = BULK;
    produce(&a);
    help_spin(l, 50);
    CHECK(a.left > BULK / 2);
    CHECK(b.stream.in.len == IN_MAX && b.stream.in.cap <= IN_MAX);
    turns = b.data_calls;
    help_spin(l, 50);
    CHECK(b.data_calls == turns);
    CHECK((b.stream.watch.events & EPOLLIN) == 0); /* not spinning on what it cannot take */
    /* It recovers when the consumer does. */
    b.eat_max = SIZE_MAX;
    b.stops_at_eof = true;
    stream_resume(&b.stream);
    help_run(l);
    CHECK(b.got.len == BULK);
    close_end(&a);
    close_end(&b);
    loop_free(l);
}

static void peer_that_never_reads_is_bounded(void)
{
    static const char block[50000] = {0};
    struct loop *l = help_loop();
    struct end a;
    int fds[2];
    int writes = 0;

    help_pair(fds);
    open_end(&a, l, fds[0]);
    a.stops_at_fail = true;
    while (a.stream.sys == 0 && writes < 100) {
        stream_write(&a.stream, (struct str){block, sizeof(block)});
        CHECK(stream_unsent(&a.stream) <= OUT_MAX);
        writes++;
    }
    CHECK(a.stream.sys == ENOBUFS && writes < 10);
    CHECK(a.stream.out.base == NULL); /* a dead stream holds nothing */
    CHECK(!stream_write(&a.stream, STR("more")));
    CHECK(a.fail_calls == 0);
    help_run(l);
    CHECK(a.fail_calls == 1);
    close_end(&a);
    own_close_fd(&fds[1]);
    loop_free(l);
}

static void half_close_leaves_the_other_way_open(void)
{
    struct loop *l = help_loop();
    struct end a, b;
    int fds[2];

    help_pair(fds);
    open_end(&a, l, fds[0]);
    open_end(&b, l, fds[1]);
    b.stops_at_eof = true;
    stream_write(&a.stream, STR("request"));
    stream_end(&a.stream);
    CHECK(!stream_write(&a.stream, STR("late")));
    help_run(l);
    CHECK(b.stream.eof && str_is(buf_str(&b.got), "request"));
    a.stops_at_data = true;
    CHECK(stream_write(&b.stream, STR("answer")));
    help_run(l);
    CHECK(str_is(buf_str(&a.got), "answer") && !a.stream.eof);
    a.stops_at_data = false;
    a.stops_at_eof = true;
    stream_end(&b.stream);
    help_run(l);
    CHECK(a.stream.eof && a.fail_calls + b.fail_calls == 0);
    /* Both ways ended: nothing to poll for, the hang-up must not spin. */
    a.data_calls = b.data_calls = 0;
    help_spin(l, 30);
    CHECK(a.data_calls + b.data_calls == 0);
    CHECK(a.stream.watch.loop == NULL && b.stream.watch.loop == NULL);
    close_end(&a);
    close_end(&b);
    loop_free(l);
}

static void pause_holds_data_and_end(void)
{
    struct loop *l = help_loop();
    struct end a;
    int fds[2];

    help_pair(fds);
    open_end(&a, l, fds[0]);
    stream_pause(&a.stream);
    CHECK(write(fds[1], "abc", 3) == 3);
    own_close_fd(&fds[1]);
    help_spin(l, 20);
    CHECK(a.data_calls == 0 && !a.stream.eof);
    CHECK(a.stream.watch.loop == NULL); /* hung up, and we do not want to know yet */
    a.stops_at_eof = true;
    stream_resume(&a.stream);
    help_run(l);
    CHECK(a.stream.eof && str_is(buf_str(&a.got), "abc") && a.fail_calls == 0);
    close_end(&a);
    loop_free(l);
}

static void resume_with_bytes_calls_once(void)
{
    struct loop *l = help_loop();
    struct end a;
    int fds[2];

    help_pair(fds);
    open_end(&a, l, fds[0]);
    buf_add_str(&a.stream.in, STR("adopted"));
    stream_resume(&a.stream);
    stream_resume(&a.stream);
    CHECK(a.data_calls == 0);
    help_spin(l, 10);
    CHECK(a.data_calls == 1 && str_is(buf_str(&a.got), "adopted"));
    close_end(&a);
    own_close_fd(&fds[1]);
    loop_free(l);
}

static void pause_holds_a_call_that_was_due(void)
{
    struct loop *l = help_loop();
    struct end a;
    int fds[2];

    help_pair(fds);
    open_end(&a, l, fds[0]);
    buf_add_str(&a.stream.in, STR("due"));
    stream_resume(&a.stream);
    stream_pause(&a.stream);
    help_spin(l, 10);
    CHECK(a.data_calls == 0);
    stream_resume(&a.stream);
    help_spin(l, 10);
    CHECK(a.data_calls == 1 && str_is(buf_str(&a.got), "due"));
    close_end(&a);
    own_close_fd(&fds[1]);
    loop_free(l);
}

static void on_data_refills(void *ctx)
{
    static const char block[100000] = {0};
    struct end *e = ctx;

    stream_consume(&e->stream, e->stream.in.len);
    while (stream_write(&e->stream, (struct str){block, sizeof(block)}))
        continue;
    loop_stop(e->loop);
}

/* One event brings bytes and room; the answer to the bytes takes the room: then no drain is due. */
static void drain_is_not_told_when_full_again(void)
{
    static const struct stream_events refilling = {on_data_refills, on_drain, on_fail, IN_MAX,
                                                   OUT_MAX};
    static char sink[400000];
    struct loop *l = help_loop();
    struct end a;
    struct err err;
    int fds[2];

    CHECK(socket_pair(SOCK_STREAM, fds, &err) == 0);
    open_end(&a, l, fds[0]);
    a.stream.events = &refilling;
    on_data_refills(&a);
    help_run(l);
    while (read(fds[1], sink, sizeof(sink)) > 0)
        continue;
    CHECK(write(fds[1], "x", 1) == 1);
    help_run(l);
    CHECK(stream_unsent(&a.stream) > STREAM_HIGH && a.drain_calls == 0);
    close_end(&a);
    own_close_fd(&fds[1]);
    loop_free(l);
}

static void on_data_frees(void *ctx)
{
    struct end *e = ctx;

    loop_stop(e->loop);
    stream_close(&e->stream);
    free(e);
}

static void owner_may_be_freed_by_a_callback(void)
{
    static const struct stream_events freeing = {on_data_frees, on_drain, on_fail, IN_MAX, OUT_MAX};
    struct loop *l = help_loop();
    struct end *a = mem_zero(sizeof(*a));
    int fds[2];

    help_pair(fds);
    open_end(a, l, fds[0]);
    a->stream.events = &freeing;
    a->left = BULK; /* a drain and a failure would be due as well */
    produce(a);
    CHECK(write(fds[1], "abc", 3) == 3);
    own_close_fd(&fds[1]);
    help_run(l);
    CHECK(!help_is_open(fds[0]));
    loop_free(l);
}

static void answer_before_a_reset_is_kept(void)
{
    struct loop *l = help_loop();
    struct end a;
    int fds[2];

    help_pair(fds);
    open_end(&a, l, fds[0]);
    CHECK(write(fds[1], "413 no", 6) == 6);
    own_close_fd(&fds[1]);
    a.stops_at_fail = true;
    CHECK(!stream_write(&a.stream, STR("body")));
    CHECK(a.stream.sys == EPIPE);
    help_run(l);
    CHECK(str_is(buf_str(&a.got), "413 no") && a.fail_calls == 1);
    close_end(&a);
    loop_free(l);
}

static void connects(void)
{
    struct loop *l = help_loop();
    struct end a = {.loop = l, .eat_max = SIZE_MAX, .stops_at_data = true};
    char address[32];
    struct err err;
    int listener, fd, peer;

    buf_init(&a.got, 1000);
    CHECK(socket_listen_tcp("127.0.0.1:0", false, &listener, &err) == 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", socket_port(listener));
    CHECK(socket_connect_tcp(address, &fd, &err) == 0);
    CHECK(stream_open(&a.stream, l, fd, true, &small, &a, &err) == 0);
    CHECK(a.stream.connecting);
    stream_write(&a.stream, STR("early"));
    CHECK(stream_unsent(&a.stream) == 5);
    help_spin(l, 20);
    CHECK(!a.stream.connecting && stream_unsent(&a.stream) == 0);
    peer = accept(listener, NULL, NULL);
    CHECK(peer >= 0 && write(peer, "hello", 5) == 5);
    help_run(l);
    CHECK(str_is(buf_str(&a.got), "hello"));
    close_end(&a);
    own_close_fd(&peer);
    own_close_fd(&listener);
    loop_free(l);
}

static void refused_connect_fails(void)
{
    struct loop *l = help_loop();
    struct end a = {.loop = l, .stops_at_fail = true};
    char address[32];
    struct err err;
    int listener, fd;

    CHECK(socket_listen_tcp("127.0.0.1:0", false, &listener, &err) == 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", socket_port(listener));
    own_close_fd(&listener);
    if (socket_connect_tcp(address, &fd, &err) == 0) {
        CHECK(stream_open(&a.stream, l, fd, true, &small, &a, &err) == 0);
        stream_write(&a.stream, STR("early"));
        help_run(l);
        CHECK(a.stream.sys == ECONNREFUSED && a.fail_calls == 1 && a.data_calls == 0);
        close_end(&a);
    }
    loop_free(l);
}

static void pipes_work(void)
{
    struct loop *l = help_loop();
    struct end in, out;
    int fds[2];

    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    open_end(&in, l, fds[0]);
    open_end(&out, l, fds[1]);
    in.stops_at_eof = true;
    out.left = BULK;
    produce(&out);
    help_run(l);
    CHECK(in.got.len == BULK && out.stream.fd == -1 && out.fail_calls == 0);
    CHECK(!help_is_open(fds[1]));
    close_end(&in);
    close_end(&out);
    loop_free(l);
}

static void pipe_without_a_reader_fails(void)
{
    struct loop *l = help_loop();
    struct end out;
    int fds[2];

    CHECK(pipe2(fds, O_CLOEXEC) == 0);
    open_end(&out, l, fds[1]);
    own_close_fd(&fds[0]);
    help_spin(l, 10);
    CHECK(out.fail_calls == 0);
    out.stops_at_fail = true;
    CHECK(!stream_write(&out.stream, STR("x")));
    help_run(l);
    CHECK(out.stream.sys == EPIPE && out.fail_calls == 1);
    close_end(&out);
    loop_free(l);
}

static void terminal_hangup_is_the_end(void)
{
    struct loop *l = help_loop();
    struct end a;
    int master, slave;

    CHECK(openpty(&master, &slave, NULL, NULL, NULL) == 0);
    open_end(&a, l, master);
    CHECK(write(slave, "$ ", 2) == 2);
    own_close_fd(&slave);
    a.stops_at_eof = true;
    help_run(l);
    CHECK(str_is(buf_str(&a.got), "$ ") && a.stream.eof && a.fail_calls == 0);
    close_end(&a);
    loop_free(l);
}

static void detach_gives_all_away(void)
{
    struct loop *l = help_loop();
    struct end a;
    int fds[2], fd;

    help_pair(fds);
    open_end(&a, l, fds[0]);
    a.eat_max = 0;
    a.stops_at_data = true;
    CHECK(write(fds[1], "rest", 4) == 4);
    help_run(l);
    fd = stream_detach(&a.stream);
    CHECK(fd == fds[0] && str_is(buf_str(&a.stream.in), "rest"));
    close_end(&a);
    CHECK(help_is_open(fd));
    own_close_fd(&fd);
    own_close_fd(&fds[1]);
    loop_free(l);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"carries bytes both ways",                    carries_bytes_both_ways                 },
        {"bulk is complete and bounded",               bulk_is_complete_and_bounded            },
        {"a consumer that never eats blocks the peer", consumer_that_never_eats_blocks_the_peer},
        {"a peer that never reads is bounded",         peer_that_never_reads_is_bounded        },
        {"half-close leaves the other way open",       half_close_leaves_the_other_way_open    },
        {"pause holds data and end",                   pause_holds_data_and_end                },
        {"resume with bytes calls once",               resume_with_bytes_calls_once            },
        {"pause holds a call that was due",            pause_holds_a_call_that_was_due         },
        {"drain is not told when full again",          drain_is_not_told_when_full_again       },
        {"the owner may be freed by a callback",       owner_may_be_freed_by_a_callback        },
        {"an answer before a reset is kept",           answer_before_a_reset_is_kept           },
        {"connects",                                   connects                                },
        {"a refused connect fails",                    refused_connect_fails                   },
        {"pipes work",                                 pipes_work                              },
        {"a pipe without a reader fails",              pipe_without_a_reader_fails             },
        {"a terminal's hang-up is the end",            terminal_hangup_is_the_end              },
        {"detach gives all away",                      detach_gives_all_away                   },
        {"no descriptor is left open",                 help_no_leak                            },
    };
    struct stream zeroed = {0};

    stream_close(&zeroed); /* harmless, and not a close of descriptor 0 */
    return help_main(tests, COUNT_OF(tests), argc, argv);
}

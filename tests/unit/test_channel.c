/* SPDX-License-Identifier: Apache-2.0 */
/* ipc/channel: messages and descriptors arrive, bounds hold, broken peers are told apart. */
#include <fcntl.h>
#include <sys/socket.h>

#include "io/socket.h"
#include "io_help.h"
#include "ipc/channel.h"
#include "ipc/node_messages.h"
#include "ipc/route_messages.h"
#include "test.h"

enum {
    FLOOD = 100000,
    SEVERAL = 300, /* more than one batch */
};

struct side {
    struct loop *loop;
    struct channel *channel;
    unsigned last_type;
    uint64_t last_seq, expected_seq;
    char text[300];
    int fd;
    int messages, gone;
    int stops_after;
    enum err_kind why;
    bool frees_on_message, frees_on_gone, echoes;
};

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    struct side *s = ctx;
    const struct node_done *done = message;
    struct err err;

    s->messages++;
    s->last_type = type;
    if (fd >= 0) {
        CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        own_close_fd(&s->fd);
        s->fd = fd;
    }
    if (type == NODE_DONE || type == NODE_DIALED) {
        s->last_seq = done->seq;
        CHECK(s->expected_seq == 0 || done->seq == s->expected_seq++);
        CHECK(str_to_c(str_upto(done->text, sizeof(s->text) - 1), s->text, sizeof(s->text)));
    }
    if (s->echoes)
        CHECK(channel_send(s->channel, type, message, -1, &err) == 0);
    if (s->frees_on_message) {
        channel_free(s->channel);
        s->channel = NULL;
    }
    if (s->messages == s->stops_after)
        loop_stop(s->loop);
}

static void on_gone(void *ctx, const struct err *why)
{
    struct side *s = ctx;

    s->gone++;
    s->why = why->kind;
    if (s->frees_on_gone) {
        channel_free(s->channel);
        s->channel = NULL;
    }
    loop_stop(s->loop);
}

static void open_side(struct side *s, struct loop *l, int fd)
{
    struct err err;

    *s = (struct side){.loop = l, .fd = -1};
    CHECK(channel_new(l, fd, &node_protocol, on_message, on_gone, s, &s->channel, &err) == 0);
}

static void close_side(struct side *s)
{
    channel_free(s->channel);
    own_close_fd(&s->fd);
}

static struct loop *open_both(struct side *a, struct side *b)
{
    struct loop *l = help_loop();
    struct err err;
    int fds[2];

    CHECK(socket_pair(SOCK_SEQPACKET, fds, &err) == 0);
    open_side(a, l, fds[0]);
    open_side(b, l, fds[1]);
    return l;
}

static void close_both(struct side *a, struct side *b)
{
    struct loop *l = a->loop;

    close_side(a);
    close_side(b);
    loop_free(l);
}

/* A raw peer: what a channel makes of packets that no channel of ours would send. */
static struct loop *open_raw(struct side *a, int *out_fd)
{
    struct loop *l = help_loop();
    struct err err;
    int fds[2];

    CHECK(socket_pair(SOCK_SEQPACKET, fds, &err) == 0);
    open_side(a, l, fds[0]);
    *out_fd = fds[1];
    return l;
}

static void messages_go_both_ways(void)
{
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_done done = {.seq = 1ull << 60, .kind = ERR_LIMIT, .text = STR("no more")};
    struct err err;

    b.echoes = true;
    a.stops_after = 1;
    CHECK(channel_send(a.channel, NODE_DONE, &done, -1, &err) == 0);
    help_run(l);
    CHECK(a.last_type == NODE_DONE && a.last_seq == 1ull << 60 && strcmp(a.text, "no more") == 0);
    CHECK(b.fd == -1);
    close_both(&a, &b);
}

/* Every row of both tables carries its struct over the wire and back. */
static void tables_are_complete(void)
{
    const struct node_start start = {.seq = 7,
                                     .id = STR("i0123"),
                                     .rootfs = STR("base"),
                                     .hostname = STR("box"),
                                     .memory_bytes = 1ull << 33,
                                     .disk_bytes = 1ull << 34,
                                     .cpu_percent = 200,
                                     .pids_max = 512,
                                     .init = STR("{\"a\":1}")};
    const struct route route = {.seq = 9,
                                .id = STR("i0123"),
                                .state = ROUTE_PAUSED,
                                .traffic_token = STR("tok"),
                                .mask_host = STR("host")};
    struct node_start start_back = {0};
    struct route route_back = {0};
    struct arena arena;
    struct buf buf;
    struct err err;

    CHECK(NODE_UNUSED == 4 && NODE_DIAL == 9 && NODE_DIALED == 10); /* of other versions, too */
    for (unsigned i = 1; i < NODE_MESSAGE_COUNT; i++)
        CHECK((node_protocol.messages[i] == NULL) == (i == NODE_UNUSED));
    for (unsigned i = 1; i < ROUTE_MESSAGE_COUNT; i++)
        CHECK(route_protocol.messages[i] != NULL);
    arena_init(&arena, 10000);
    buf_init(&buf, 10000);
    proto_encode(node_protocol.messages[NODE_START], &start, &buf);
    CHECK(proto_decode(node_protocol.messages[NODE_START], buf_str(&buf), &arena, &start_back,
                       &err) == 0);
    CHECK(start_back.seq == 7 && str_is(start_back.id, "i0123") &&
          str_is(start_back.rootfs, "base") && str_is(start_back.hostname, "box"));
    CHECK(start_back.memory_bytes == 1ull << 33 && start_back.disk_bytes == 1ull << 34);
    CHECK(start_back.cpu_percent == 200 && start_back.pids_max == 512);
    CHECK(str_is(start_back.init, "{\"a\":1}"));
    buf_clear(&buf);
    proto_encode(route_protocol.messages[ROUTE_FOUND], &route, &buf);
    CHECK(proto_decode(route_protocol.messages[ROUTE_FOUND], buf_str(&buf), &arena, &route_back,
                       &err) == 0);
    CHECK(route_back.seq == 9 && route_back.state == ROUTE_PAUSED);
    CHECK(str_is(route_back.traffic_token, "tok") && str_is(route_back.mask_host, "host"));
    arena_done(&arena);
    buf_done(&buf);
}

static void descriptors_are_passed(void)
{
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_done done = {.seq = 1};
    struct err err;
    int pipe_fds[2];
    char byte = 0;

    CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
    b.stops_after = 1;
    CHECK(channel_send(a.channel, NODE_DIALED, &done, pipe_fds[1], &err) == 0);
    CHECK(help_is_open(pipe_fds[1])); /* still ours */
    own_close_fd(&pipe_fds[1]);
    help_run(l);
    CHECK(b.fd >= 0 && write(b.fd, "x", 1) == 1);
    CHECK(read(pipe_fds[0], &byte, 1) == 1 && byte == 'x');
    own_close_fd(&pipe_fds[0]);
    close_both(&a, &b);
}

/* With a full socket the descriptor has to be kept by us until the peer reads. */
static void queued_descriptors_survive_the_callers_close(void)
{
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_done done = {.text = STR("filler")};
    struct err err;
    int pipe_fds[2];

    for (int i = 0; i < 5000; i++)
        CHECK(channel_send(a.channel, NODE_DONE, &done, -1, &err) == 0);
    CHECK(pipe2(pipe_fds, O_CLOEXEC) == 0);
    CHECK(channel_send(a.channel, NODE_DIALED, &done, pipe_fds[1], &err) == 0);
    own_close_fd(&pipe_fds[1]);
    b.stops_after = 5001;
    help_run(l);
    CHECK(b.last_type == NODE_DIALED && b.fd >= 0 && write(b.fd, "x", 1) == 1);
    own_close_fd(&pipe_fds[0]);
    close_both(&a, &b);
}

static void spare_descriptors_are_closed(void)
{
    static const char packet[] = {NODE_DONE, 0x08, 5};
    struct side a;
    int raw, fds[PACKET_FDS_MAX], next;
    struct loop *l = open_raw(&a, &raw);
    struct err err;

    for (int i = 0; i < PACKET_FDS_MAX; i++)
        CHECK((fds[i] = dup(0)) >= 0);
    CHECK(packet_send(raw, (struct str){packet, sizeof(packet)}, fds, PACKET_FDS_MAX, &err) == 0);
    a.stops_after = 1;
    help_run(l);
    CHECK(a.last_seq == 5 && a.fd == fds[PACKET_FDS_MAX - 1] + 1);
    next = dup(0);
    CHECK(next == a.fd + 1); /* only one came through */
    own_close_fd(&next);
    for (int i = 0; i < PACKET_FDS_MAX; i++)
        own_close_fd(&fds[i]);
    own_close_fd(&raw);
    close_side(&a);
    loop_free(l);
}

static void large_messages_pass_up_to_a_packet(void)
{
    static char text[PACKET_MAX];
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_start start = {
        .seq = 1, .init = {text, PACKET_MAX - 100}
    };
    struct err err;

    memset(text, 'x', sizeof(text));
    b.stops_after = 3;
    for (int i = 0; i < 3; i++)
        CHECK(channel_send(a.channel, NODE_START, &start, -1, &err) == 0);
    help_run(l);
    CHECK(b.messages == 3 && b.last_type == NODE_START);
    start.init.len = PACKET_MAX;
    CHECK(channel_send(a.channel, NODE_START, &start, -1, &err) == -1 && err.kind == ERR_LIMIT);
    start.init.len = 10; /* the channel is not harmed by it */
    b.stops_after = 4;
    CHECK(channel_send(a.channel, NODE_START, &start, -1, &err) == 0);
    help_run(l);
    close_both(&a, &b);
}

static void flood_hits_the_bound_and_loses_nothing(void)
{
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_done done = {0};
    struct err err = {0};
    int sent = 0;

    while (sent < FLOOD) {
        done.seq = (uint64_t)sent + 1;
        if (channel_send(a.channel, NODE_DONE, &done, -1, &err) != 0)
            break;
        sent++;
    }
    CHECK(err.kind == ERR_LIMIT);
    CHECK(sent > CHANNEL_QUEUE_MAX && sent < FLOOD);
    b.expected_seq = 1;
    b.stops_after = sent;
    help_run(l);
    CHECK(b.messages == sent && a.gone + b.gone == 0);
    b.stops_after = sent + 1;
    done.seq = b.expected_seq;
    CHECK(channel_send(a.channel, NODE_DONE, &done, -1, &err) == 0);
    help_run(l);
    close_both(&a, &b);
}

/* Room in the socket while older packets wait: the new one has to queue behind them. */
static void order_is_kept_through_the_queue(void)
{
    static char box[PACKET_MAX];
    struct side a;
    int raw, fds[PACKET_FDS_MAX];
    struct loop *l = open_raw(&a, &raw);
    struct node_done done = {0};
    struct arena arena;
    struct err err;
    size_t count;
    uint64_t got = 0;
    ssize_t n;

    arena_init(&arena, 1 << 20);
    while (got < 5001) {
        struct node_done back = {0};

        while (done.seq < 5000 || (got == 300 && done.seq == 5000)) {
            done.seq++;
            CHECK(channel_send(a.channel, NODE_DONE, &done, -1, &err) == 0);
        }
        n = packet_receive(raw, box, sizeof(box), fds, &count, &err);
        if (n == -2) {
            help_spin(l, 1);
            continue;
        }
        CHECK(n > 0 &&
              proto_decode(node_protocol.messages[NODE_DONE], (struct str){box + 1, (size_t)n - 1},
                           &arena, &back, &err) == 0);
        CHECK(back.seq == ++got);
        arena_done(&arena);
    }
    own_close_fd(&raw);
    close_side(&a);
    loop_free(l);
}

static void bytes_are_bounded_too(void)
{
    static char text[100 << 10];
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_start start = {
        .init = {text, sizeof(text)}
    };
    struct err err = {0};
    size_t sent = 0;

    memset(text, 'x', sizeof(text));
    while (sent < 1000 && channel_send(a.channel, NODE_START, &start, -1, &err) == 0)
        sent++;
    CHECK(err.kind == ERR_LIMIT);
    CHECK(sent * sizeof(text) <= CHANNEL_QUEUE_BYTES + (2u << 20));
    b.stops_after = (int)sent;
    help_run(l);
    close_both(&a, &b);
}

static void peer_death_comes_after_its_last_words(void)
{
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_done done = {.seq = 3};
    struct err err;

    b.frees_on_gone = true;
    for (int i = 0; i < SEVERAL / 2; i++)
        CHECK(channel_send(a.channel, NODE_DONE, &done, -1, &err) == 0);
    channel_free(a.channel);
    a.channel = NULL;
    CHECK(channel_send(b.channel, NODE_DONE, &done, -1, &err) == -1);
    CHECK(b.gone == 0); /* never from inside a call */
    help_run(l);
    CHECK(b.messages == SEVERAL / 2 && b.gone == 1 && b.why == ERR_UNAVAILABLE);
    close_both(&a, &b);
}

static void dead_channel_refuses(void)
{
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_done done = {.seq = 3};
    struct err err;

    channel_free(a.channel);
    a.channel = NULL;
    help_run(l);
    CHECK(b.gone == 1);
    CHECK(channel_send(b.channel, NODE_DONE, &done, -1, &err) == -1);
    CHECK(err.kind == ERR_UNAVAILABLE);
    help_spin(l, 10);
    CHECK(b.gone == 1);
    close_both(&a, &b);
}

static void may_be_freed_from_its_message(void)
{
    struct side a, b;
    struct loop *l = open_both(&a, &b);
    struct node_done done = {.seq = 3};
    struct err err;

    b.frees_on_message = true;
    b.stops_after = 1;
    for (int i = 0; i < 3; i++)
        CHECK(channel_send(a.channel, NODE_DONE, &done, -1, &err) == 0);
    help_run(l);
    CHECK(b.messages == 1 && b.gone == 0);
    close_both(&a, &b);
}

static void broken_packets_end_the_channel(void)
{
    static const struct str bad[] = {
        {"\0",               1}, /* type 0 */
        {"\x7f",             1}, /* above the last type */
        {"\xff",             1},
        {"\x05\x08",         2}, /* a field without its value */
        {"\x05\x1a\x7f\x61", 4}, /* a text longer than the packet */
        {"\x05\x0f\x01",     3}, /* a wire type that is none */
    };

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct side a;
        int raw, passed = dup(0);
        struct loop *l = open_raw(&a, &raw);
        struct err err;

        CHECK(packet_send(raw, bad[i], &passed, 1, &err) == 0);
        own_close_fd(&passed);
        help_run(l);
        CHECK(a.messages == 0 && a.gone == 1 && a.why == ERR_INVALID);
        own_close_fd(&raw);
        close_side(&a);
        loop_free(l);
    }
}

static void unknown_types_are_not_sent(void)
{
    struct side a, b;
    struct node_done done = {0};
    struct err err;

    open_both(&a, &b);
    CHECK(channel_send(a.channel, 0, &done, -1, &err) == -1 && err.kind == ERR_INVALID);
    CHECK(channel_send(a.channel, NODE_MESSAGE_COUNT, &done, -1, &err) == -1);
    close_both(&a, &b);
    channel_free(NULL);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"messages go both ways",                    messages_go_both_ways                       },
        {"the tables are complete",                  tables_are_complete                         },
        {"descriptors are passed",                   descriptors_are_passed                      },
        {"queued descriptors survive",               queued_descriptors_survive_the_callers_close},
        {"spare descriptors are closed",             spare_descriptors_are_closed                },
        {"large messages pass",                      large_messages_pass_up_to_a_packet          },
        {"a flood hits the bound and loses nothing", flood_hits_the_bound_and_loses_nothing      },
        {"order is kept through the queue",          order_is_kept_through_the_queue             },
        {"bytes are bounded too",                    bytes_are_bounded_too                       },
        {"death comes after the last words",         peer_death_comes_after_its_last_words       },
        {"a dead channel refuses",                   dead_channel_refuses                        },
        {"may be freed from its message",            may_be_freed_from_its_message               },
        {"broken packets end the channel",           broken_packets_end_the_channel              },
        {"unknown types are not sent",               unknown_types_are_not_sent                  },
        {"no descriptor is left open",               help_no_leak                                },
    };

    return help_main(tests, COUNT_OF(tests), argc, argv);
}

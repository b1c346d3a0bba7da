/* SPDX-License-Identifier: Apache-2.0 */
/* The node role over the fake runtime: what becomes of a start when who asked for it goes away. */
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/socket.h"
#include "io_help.h"
#include "node/node.h"
#include "node/peer.h"
#include "test.h"

struct setup {
    struct loop *loop;
    struct node *node;
    char dir[64], commands[96], dials[96], rootfs[96];
};

static void setup_open(struct setup *s)
{
    struct node_config config = {
        .rootfs_dir = s->dir, .runtime = {.driver = "fake", .sandboxes_max = 10}
    };
    struct err err = {0};

    s->loop = help_loop();
    snprintf(s->dir, sizeof(s->dir), "/tmp/node-test-XXXXXX");
    CHECK(mkdtemp(s->dir) != NULL);
    snprintf(s->commands, sizeof(s->commands), "%s/node.sock", s->dir);
    snprintf(s->dials, sizeof(s->dials), "%s/dial.sock", s->dir);
    snprintf(s->rootfs, sizeof(s->rootfs), "%s/base", s->dir);
    CHECK(mkdir(s->rootfs, 0700) == 0);
    CHECK(socket_listen_unix(s->commands, SOCK_SEQPACKET, &config.command_fd, &err) == 0);
    CHECK(socket_listen_unix(s->dials, SOCK_SEQPACKET, &config.dial_fd, &err) == 0);
    config.api_uid = config.edge_uid = getuid();
    CHECK(node_new(s->loop, &config, &s->node, &err) == 0);
}

static void setup_close(struct setup *s)
{
    node_free(s->node);
    loop_free(s->loop);
    CHECK(unlink(s->commands) == 0 && unlink(s->dials) == 0 && rmdir(s->rootfs) == 0 &&
          rmdir(s->dir) == 0);
}

static void on_message(void *ctx, unsigned type, const void *message, int fd)
{
    unsigned *last = ctx;

    CHECK(message != NULL && fd < 0);
    *last = type;
}

static void on_gone(void *ctx, const struct err *why)
{
    CHECK(ctx == NULL && why == NULL); /* nobody leaves but us */
}

static struct channel *join(struct setup *s, unsigned *last)
{
    struct channel *c = NULL;
    struct err err = {0};
    int fd = -1;

    CHECK(socket_connect_unix(s->commands, SOCK_SEQPACKET, &fd, &err) == 0);
    CHECK(channel_new(s->loop, fd, &node_protocol, on_message, on_gone, last, &c, &err) == 0);
    help_spin(s->loop, 20);
    return c;
}

static void ask_start(struct channel *c)
{
    struct node_start m = {
        .seq = 7, .id = STR("i1"), .rootfs = STR("base"), .hostname = STR("i1"), .init = STR("{}")};
    struct err err = {0};

    CHECK(channel_send(c, NODE_START, &m, -1, &err) == 0);
}

static void a_start_is_answered_and_kept(void)
{
    struct setup s;
    unsigned last = 0;
    struct channel *c;

    setup_open(&s);
    c = join(&s, &last);
    ask_start(c);
    help_spin(s.loop, 50);
    CHECK(last == NODE_DONE && node_count(s.node) == 1);
    channel_free(c);
    help_spin(s.loop, 50);
    CHECK(node_count(s.node) == 1); /* it was told: it is the next one's to find and keep */
    setup_close(&s);
}

/* The next api process has connected, and listed, while the start of the last one was running. */
static void a_start_that_nobody_will_hear_of_is_undone(void)
{
    struct setup s;
    unsigned last = 0, next = 0;
    struct channel *c, *other;

    setup_open(&s);
    c = join(&s, &last);
    other = join(&s, &next);
    ask_start(c);
    channel_free(c);
    help_spin(s.loop, 50);
    CHECK(last == 0 && next == 0);
    CHECK(node_count(s.node) == 0);
    channel_free(other);
    setup_close(&s);
}

static void without_another_it_waits_for_the_next_list(void)
{
    struct setup s;
    unsigned last = 0;
    struct channel *c;

    setup_open(&s);
    c = join(&s, &last);
    ask_start(c);
    channel_free(c);
    help_spin(s.loop, 50);
    CHECK(last == 0 && node_count(s.node) == 1);
    setup_close(&s);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"a start is answered and kept",          a_start_is_answered_and_kept              },
        {"a start nobody will hear of is undone", a_start_that_nobody_will_hear_of_is_undone},
        {"alone, it waits for the next list",     without_another_it_waits_for_the_next_list},
        {"no descriptor is left open",            help_no_leak                              },
    };

    return help_main(tests, COUNT_OF(tests), argc, argv);
}

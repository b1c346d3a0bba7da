/* SPDX-License-Identifier: Apache-2.0 */
/* See http_help.h. */
#include "http_help.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

static int open_at_start;

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int count = 0;

    CHECK(d != NULL);
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

static void on_accept(void *ctx, int fd)
{
    struct rig *g = ctx;

    http_server_adopt(g->server, fd, 7);
}

void rig_open(struct rig *g, const struct http_limits *limits, request_fn *on_request, void *ctx)
{
    struct err err;
    int fd;

    open_at_start = open_descriptors();
    *g = (struct rig){.peer = -1};
    buf_init(&g->got, RIG_GOT_MAX);
    CHECK(loop_new(&g->loop, &err) == 0);
    CHECK(http_server_new(g->loop, limits, on_request, ctx, &g->server, &err) == 0);
    CHECK(socket_listen_tcp("127.0.0.1:0", false, &fd, &err) == 0);
    g->port = socket_port(fd);
    CHECK(listener_start(&g->listener, g->loop, fd, on_accept, g, &err) == 0);
    rig_connect(g);
}

void rig_done(struct rig *g)
{
    listener_stop(&g->listener);
    http_server_free(g->server);
    loop_free(g->loop);
    rig_hang_up(g);
    CHECK(open_descriptors() == open_at_start);
}

int rig_connect(struct rig *g)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(g->port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0);
    if (g->peer >= 0)
        close(g->peer);
    g->peer = fd;
    g->is_ended = g->is_reset = false;
    buf_done(&g->got);
    rig_turn(g);
    rig_turn(g);
    return fd;
}

void rig_hang_up(struct rig *g)
{
    if (g->peer >= 0)
        close(g->peer);
    g->peer = -1;
    buf_done(&g->got);
}

void rig_reset(struct rig *g)
{
    const struct linger reset = {.l_onoff = 1, .l_linger = 0};

    CHECK(setsockopt(g->peer, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) == 0);
    rig_hang_up(g);
}

static void on_turn(void *ctx)
{
    loop_stop(ctx);
}

void rig_turn(struct rig *g)
{
    struct timer t = {0};
    struct err err;

    timer_start(g->loop, &t, 1, on_turn, g->loop);
    CHECK(loop_run(g->loop, &err) == 0);
    timer_stop(&t);
}

void rig_read(struct rig *g)
{
    rig_turn(g);
    while (g->peer >= 0 && !g->is_ended) {
        char *room = buf_room(&g->got, 64 << 10);
        ssize_t n;

        CHECK(room != NULL);
        n = recv(g->peer, room, 64 << 10, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n > 0)
            buf_fill(&g->got, (size_t)n);
        g->is_ended = n <= 0;
        g->is_reset = n < 0;
    }
}

void rig_wait(struct rig *g, int ms)
{
    for (int i = 0; i < ms; i++)
        rig_read(g);
}

void rig_send(struct rig *g, const char *text)
{
    struct str rest = str_of(text);

    for (int i = 0; i < RIG_WAIT_MS && rest.len > 0; i++) {
        ssize_t n = send(g->peer, rest.at, rest.len, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0)
            rest = str_from(rest, (size_t)n);
        rig_read(g);
    }
    CHECK(rest.len == 0);
}

void rig_expect(struct rig *g, const char *text)
{
    for (int i = 0; i < RIG_WAIT_MS && g->got.len < strlen(text) && !g->is_ended; i++)
        rig_read(g);
    rig_read(g); /* more than that would be here now */
    if (!str_is(buf_str(&g->got), text))
        test_note("received '%.*s'", STR_ARG(buf_str(&g->got)));
    CHECK(str_is(buf_str(&g->got), text));
    buf_done(&g->got);
}

void rig_expect_part(struct rig *g, const char *text)
{
    for (int i = 0; i < RIG_WAIT_MS; i++) {
        if (g->got.len > 0 && memmem(g->got.at, g->got.len, text, strlen(text)) != NULL)
            return;
        if (g->is_ended)
            break;
        rig_read(g);
    }
    test_note("received '%.*s'", STR_ARG(str_upto(buf_str(&g->got), 1000)));
    CHECK(!"the text came");
}

void rig_expect_end(struct rig *g)
{
    for (int i = 0; i < RIG_WAIT_MS && !g->is_ended; i++)
        rig_read(g);
    CHECK(g->is_ended);
}

void rig_until(struct rig *g, bool (*is_so)(void *ctx), void *ctx)
{
    for (int i = 0; i < RIG_WAIT_MS && !is_so(ctx); i++)
        rig_read(g);
    CHECK(is_so(ctx));
}

struct session *rig_session(struct rig *g)
{
    struct list_node *node = list_first(&g->server->sessions);

    return node == NULL ? NULL : container_of(node, struct session, node);
}

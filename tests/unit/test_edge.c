/* SPDX-License-Identifier: Apache-2.0 */
/* edge over an api that accepts and stays silent: the client gets a 504, not an endless wait. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "edge/edge.h"
#include "edge/proxy.h"
#include "io/cert.h"
#include "io/socket.h"
#include "test.h"

enum {
    ANSWER_MS = 150,
    WAIT_MS = 5000,
    TICKET_MS = 300,
};

struct rig {
    struct loop *loop;
    struct edge *edge;
    char dir[32], api[64], none[64];
    int api_fd, client;
    uint16_t port;
    struct buf got;
    bool is_ended;
};

static void rig_open_with(struct rig *g, struct edge_config config)
{
    struct err err;
    int fd;

    *g = (struct rig){.client = -1};
    ignore(snprintf(g->dir, sizeof g->dir, "/tmp/edge-test-XXXXXX"));
    CHECK(mkdtemp(g->dir) != NULL);
    ignore(snprintf(g->api, sizeof g->api, "%s/api", g->dir));
    ignore(snprintf(g->none, sizeof g->none, "%s/none", g->dir));
    buf_init(&g->got, 1 << 20);
    CHECK(loop_new(&g->loop, &err) == 0);
    CHECK(socket_listen_unix(g->api, SOCK_STREAM, &g->api_fd, &err) == 0);
    CHECK(socket_listen_tcp("127.0.0.1:0", false, &fd, &err) == 0);
    g->port = socket_port(fd);
    config.listen_count = 1;
    config.domain = "";
    config.listen_fds = &fd;
    config.api_socket = g->api;
    config.routes_socket = config.dial_socket = g->none;
    config.api_answer_ms = ANSWER_MS;
    CHECK(edge_new(g->loop, &config, &g->edge, &err) == 0);
}

static void rig_open(struct rig *g)
{
    rig_open_with(g, (struct edge_config){.loops = 1});
}

static void rig_done(struct rig *g)
{
    edge_free(g->edge);
    loop_free(g->loop);
    close(g->api_fd);
    close(g->client);
    buf_done(&g->got);
    CHECK(unlink(g->api) == 0 && rmdir(g->dir) == 0);
}

static void on_turn(void *ctx)
{
    loop_stop(ctx);
}

static void turn(struct rig *g)
{
    struct timer t = {0};
    struct err err;
    ssize_t n;

    timer_start(g->loop, &t, 1, on_turn, g->loop);
    CHECK(loop_run(g->loop, &err) == 0);
    timer_stop(&t);
    while (g->client >= 0 && !g->is_ended) {
        char *room = buf_room(&g->got, 4096);

        CHECK(room != NULL);
        n = recv(g->client, room, 4096, MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        buf_fill(&g->got, n > 0 ? (size_t)n : 0);
        g->is_ended = n <= 0;
    }
}

static void send_text(struct rig *g, const char *text)
{
    struct str s = str_of(text);

    CHECK(send(g->client, s.at, s.len, MSG_NOSIGNAL) == (ssize_t)s.len);
    turn(g);
}

static void connect_client(struct rig *g, const char *text)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(g->port)};

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (g->client >= 0)
        close(g->client);
    g->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(connect(g->client, (const struct sockaddr *)&to, sizeof to) == 0);
    g->is_ended = false;
    buf_clear(&g->got);
    send_text(g, text);
}

static bool has(const struct rig *g, const char *text)
{
    return g->got.len > 0 && memmem(g->got.at, g->got.len, text, strlen(text)) != NULL;
}

static void expect(struct rig *g, const char *text)
{
    for (int i = 0; i < WAIT_MS && !has(g, text); i++)
        turn(g);
    if (!has(g, text))
        test_note("received '%.*s'", STR_ARG(buf_str(&g->got)));
    CHECK(has(g, text));
}

static void write_file(const char *path, struct buf *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f != NULL && fwrite(text->at, 1, text->len, f) == text->len && fclose(f) == 0);
    buf_done(text);
}

/* For box.test, in a file with its key. */
static void make_certificate(const char *path)
{
    const struct str name = STR("box.test");
    struct cert *authority, *leaf;
    struct buf text;
    struct err err;

    buf_init(&text, CERT_PEM_MAX);
    CHECK(cert_make_authority("Test authority", 30, &authority, &err) == 0);
    CHECK(cert_issue(authority, &name, 1, 7, &leaf, &err) == 0);
    CHECK(cert_put_chain(leaf, &text, &err) == 0 && cert_put_key(leaf, &text, &err) == 0);
    write_file(path, &text);
    cert_free(leaf);
    cert_free(authority);
}

/* Shakes hands; was *session resumed? It is replaced when it is NULL. */
static bool resumes(struct rig *g, SSL_CTX *ctx, SSL_SESSION **session)
{
    SSL *ssl = SSL_new(ctx);
    int done = 0;
    bool is_resumed;

    connect_client(g, "");
    CHECK(ssl != NULL && SSL_set_fd(ssl, g->client) == 1);
    CHECK(fcntl(g->client, F_SETFL, O_NONBLOCK) == 0);
    CHECK(*session == NULL || SSL_set_session(ssl, *session) == 1);
    for (int i = 0; i < WAIT_MS && done != 1; i++) {
        struct timer t = {0};
        struct err err;

        done = SSL_connect(ssl);
        timer_start(g->loop, &t, 1, on_turn, g->loop);
        CHECK(loop_run(g->loop, &err) == 0);
        timer_stop(&t);
    }
    CHECK(done == 1);
    is_resumed = SSL_session_reused(ssl) == 1;
    if (*session == NULL)
        *session = SSL_get1_session(ssl);
    SSL_set_shutdown(ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* or the session were void */
    SSL_free(ssl);
    return is_resumed;
}

static void tickets_end_with_their_keys(void)
{
    char files[128], path[48] = "/tmp/edge-cert-XXXXXX";
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL_SESSION *old = NULL;
    unsigned resumed = 0;
    int fd = mkstemp(path);
    struct rig g;

    CHECK(fd >= 0 && ctx != NULL && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1);
    make_certificate(path);
    ignore(snprintf(files, sizeof files, "%s:%s", path, path));
    rig_open_with(&g, (struct edge_config){.loops = 2,
                                           .certificates = files,
                                           .limits = {.connections_max = 100},
                                           .ticket_ms = TICKET_MS});
    CHECK(!resumes(&g, ctx, &old));
    for (int i = 0; i < TICKET_MS && resumes(&g, ctx, &old); i++)
        resumed++; /* whichever loop takes it, until both have other keys */
    CHECK(resumed > 0 && resumed < TICKET_MS);
    for (int i = 0; i < 4; i++)
        ignore((long)resumes(&g, ctx, &old)); /* in full, and served */
    SSL_SESSION_free(old);
    old = NULL;
    CHECK(!resumes(&g, ctx, &old) && old != NULL);
    SSL_SESSION_free(old);
    SSL_CTX_free(ctx);
    rig_done(&g);
    close(fd);
    CHECK(unlink(path) == 0);
}

static void a_silent_api_is_not_waited_for_for_ever(void)
{
    struct rig g;

    rig_open(&g);
    connect_client(&g, "GET /sandboxes HTTP/1.1\r\nHost: h\r\n\r\n");
    expect(&g, "HTTP/1.1 504 Gateway Timeout\r\nContent-Type: application/json\r\n");
    expect(&g, "{\"code\":504,\"message\":\"The control plane did not answer in time\"}");
    CHECK(!g.is_ended); /* the connection is as good as before */
    rig_done(&g);
}

static void its_time_begins_behind_the_request(void)
{
    struct rig g;

    rig_open(&g);
    connect_client(&g, "POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n");
    for (int i = 0; i < 9; i++) {
        uint64_t began = loop_now_ms(g.loop);

        while (loop_now_ms(g.loop) - began < ANSWER_MS / 3)
            turn(&g);
        CHECK(g.got.len == 0);
        send_text(&g, "x");
    }
    expect(&g, "HTTP/1.1 504 ");
    rig_done(&g);
}

/* A stream may last as long as it likes once its head has come. */
static void an_answer_that_began_has_no_deadline(void)
{
    struct rig g;
    uint64_t began;
    char got[1024];
    int api = -1;

    rig_open(&g);
    connect_client(&g, "GET /logs HTTP/1.1\r\nHost: h\r\n\r\n");
    for (int i = 0; i < WAIT_MS && (api = accept(g.api_fd, NULL, NULL)) < 0; i++)
        turn(&g);
    CHECK(api >= 0 && recv(api, got, sizeof got, 0) > 0);
    CHECK(send(api, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", 40, 0) == 40);
    expect(&g, "\r\n\r\nab");
    began = loop_now_ms(g.loop);
    while (loop_now_ms(g.loop) - began < 2 * ANSWER_MS)
        turn(&g);
    CHECK(send(api, "cd", 2, 0) == 2);
    expect(&g, "\r\n\r\nabcd");
    close(api);
    rig_done(&g);
}

/* What is not to take that long has a deadline of its own where it is done (domain/). */
static void what_takes_long_has_its_time(void)
{
    CHECK(PROXY_API_ANSWER_MS == 240 * 1000);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"CT-41 snapshots and pushes have 240 s",   what_takes_long_has_its_time           },
        {"a silent api is not waited for for ever", a_silent_api_is_not_waited_for_for_ever},
        {"its time begins behind the request",      its_time_begins_behind_the_request     },
        {"an answer that began has no deadline",    an_answer_that_began_has_no_deadline   },
        {"tickets end with their keys",             tickets_end_with_their_keys            },
    };

    return test_main(tests, COUNT_OF(tests), argc, argv);
}

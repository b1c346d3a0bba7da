/* SPDX-License-Identifier: Apache-2.0 */
/* io/tls: handshakes and their failures, bytes both ways in bounded memory, ends and cuts, peers
 * that stall or send rubbish. */
#include <errno.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include "io/relay.h"
#include "io/socket.h"
#include "io/stream.h"
#include "io/tls.h"
#include "io_help.h"
#include "test.h"
#include "tls_help.h"

enum {
    BULK = 3 << 20,
    FLIPS = 60,
    SHORT_MS = 50,
};

static void talks_both_ways(void)
{
    static const size_t sizes[] = {0, 1, 16384, 16385, 200000, BULK};

    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct meeting m;

        meeting_init(&m, NULL, NULL);
        m.goal = m.client.to_send = m.server.to_send = sizes[i];
        meeting_start(&m, "box.test");
        help_run(m.loop);
        CHECK(m.client.got == sizes[i] && m.server.got == sizes[i]);
        CHECK(m.client.has_eof && m.server.has_eof);
        meeting_done(&m);
    }
}

static void agrees_on_a_protocol(void)
{
    static const char *const both[] = {"h2", "http/1.1", NULL}, *const one[] = {"http/1.1", NULL};
    static const char *const other[] = {"spdy/3", NULL};
    static const struct {
        const char *const *server, *const *client;
        const char *chosen; /* NULL: refused */
    } cases[] = {
        {both, both,  "h2"      },
        {both, one,   "http/1.1"},
        {both, NULL,  ""        },
        {NULL, both,  ""        },
        {both, other, NULL      },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct meeting m;

        meeting_init(&m, cases[i].server, cases[i].client);
        m.stops_when_ready = true;
        meeting_start(&m, "a.box.test");
        help_run(m.loop);
        CHECK(m.client.is_ready == (cases[i].chosen != NULL));
        if (cases[i].chosen != NULL) {
            CHECK(str_eq(tls_protocol(m.client.tls), str_of(cases[i].chosen)));
            CHECK(str_eq(tls_protocol(m.server.tls), str_of(cases[i].chosen)));
            CHECK(str_is(m.world.asked, "a.box.test"));
            CHECK(str_is(tls_server_name(m.server.tls), "a.box.test"));
            CHECK(str_is(str_of(tls_version(m.server.tls)), "TLSv1.3"));
        }
        meeting_done(&m);
    }
}

static void verifies_the_host(void)
{
    static const struct {
        const char *host;
        const char *why; /* NULL: fine */
    } cases[] = {
        {"box.test",     NULL                 },
        {"x.box.test",   NULL                 },
        {"127.0.0.1",    NULL                 },
        {"x.y.box.test", "hostname mismatch"  },
        {"127.0.0.2",    "IP address mismatch"},
        {"other.test",   "hostname mismatch"  },
    };

    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct meeting m;

        meeting_init(&m, NULL, NULL);
        meeting_start(&m, cases[i].host);
        help_run(m.loop);
        CHECK(m.client.has_failed == (cases[i].why != NULL));
        if (cases[i].why != NULL) {
            CHECK(m.client.err.kind == ERR_DENIED);
            CHECK(strstr(m.client.err.text, cases[i].why) != NULL);
            CHECK(strstr(m.client.err.text, cases[i].host) != NULL);
        }
        meeting_done(&m);
    }
}

static void refuses_unknown_roots(void)
{
    struct tls_world other;
    struct meeting m;

    meeting_init(&m, NULL, NULL);
    tls_world_init(&other, NULL, NULL);
    tls_context_free(m.world.client);
    m.world.client = other.client;
    other.client = NULL;
    meeting_start(&m, "box.test");
    help_run(m.loop);
    CHECK(m.client.has_failed && m.client.err.kind == ERR_DENIED && !m.server.is_open);
    CHECK(strstr(m.client.err.text, "not trusted") != NULL);
    tls_world_done(&other);
    meeting_done(&m);
}

static void refuses_uncertified(void)
{
    struct meeting m;

    meeting_init(&m, NULL, NULL);
    m.world.refuses = true;
    meeting_start(&m, "box.test");
    help_run(m.loop);
    CHECK(m.client.has_failed && m.server.has_failed);
    meeting_done(&m);
}

static void takes_bytes_read_before(void)
{
    struct meeting m;
    struct tls_spec spec;
    char hello[4096];
    ssize_t len;
    int fds[2];
    struct err err;

    meeting_init(&m, NULL, NULL);
    m.goal = m.client.to_send = m.server.to_send = 100000;
    help_pair(fds);
    meeting_open(&m, &m.client, fds[0], "box.test");
    help_spin(m.loop, 1);
    len = read(fds[1], hello, sizeof(hello));
    CHECK(len > 100);
    spec = (struct tls_spec){
        .fd = fds[1],
        .context = m.world.server,
        .first = {hello, (size_t)len},
        .fn = meeting_ready,
        .ctx = &m.server
    };
    CHECK(tls_open(m.loop, &spec, &m.server.tls, &err) == 0);
    help_run(m.loop);
    CHECK(m.client.got == m.goal && m.server.got == m.goal);
    meeting_done(&m);
}

static void tells_a_cut_from_an_end(void)
{
    struct meeting m;

    meeting_init(&m, NULL, NULL);
    m.client.ends = false; /* says nothing of an end */
    m.client.to_send = 1000;
    m.goal = 1000;
    m.client.has_eof = true;
    m.client.got = 1000;
    meeting_start(&m, "box.test");
    help_spin(m.loop, SHORT_MS);
    CHECK(m.server.got == 1000 && !m.server.has_eof);
    CHECK(shutdown(m.client.stream.fd, SHUT_WR) == 0); /* as if the wire was cut */
    help_spin(m.loop, SHORT_MS);
    CHECK(m.server.sys == ECONNRESET && !m.server.has_eof);
    meeting_done(&m);
}

static void closing_says_so(void)
{
    struct meeting m;

    meeting_init(&m, NULL, NULL);
    m.client.ends = m.server.ends = false;
    m.goal = 1;
    meeting_start(&m, "box.test");
    help_spin(m.loop, SHORT_MS);
    CHECK(m.client.is_open && m.server.is_open);
    stream_close(&m.client.stream);
    m.client.has_failed = true;
    help_spin(m.loop, SHORT_MS);
    CHECK(m.server.has_eof && m.server.sys == 0);
    meeting_done(&m);
}

static void a_stall_holds_little(void)
{
    struct meeting m;

    meeting_init(&m, NULL, NULL);
    m.server.eats = false;
    m.client.to_send = BULK;
    m.client.ends = false;
    meeting_start(&m, "box.test");
    help_spin(m.loop, SHORT_MS);
    CHECK(m.client.sent < 1 << 20); /* boxes of both sides and the kernel's */
    CHECK(m.server.stream.in.len <= BOX);
    m.server.eats = true;
    m.client.ends = true;
    m.goal = BULK;
    m.client.got = BULK;
    side_read(&m.server);
    help_run(m.loop);
    CHECK(m.server.got == BULK);
    meeting_done(&m);
}

static void a_silent_peer_is_late(void)
{
    for (int is_client = 0; is_client < 2; is_client++) {
        struct meeting m;
        struct side *s = is_client ? &m.client : &m.server;
        struct tls_spec spec;
        struct err err;
        int fds[2];

        meeting_init(&m, NULL, NULL);
        (is_client ? &m.server : &m.client)->has_failed = true;
        help_pair(fds);
        spec = (struct tls_spec){.fd = fds[0],
                                 .context = is_client ? m.world.client : m.world.server,
                                 .host = "box.test",
                                 .deadline_ms = SHORT_MS,
                                 .fn = meeting_ready,
                                 .ctx = s};
        CHECK(tls_open(m.loop, &spec, &s->tls, &err) == 0);
        help_run(m.loop);
        CHECK(s->has_failed && s->err.kind == ERR_TIMEOUT);
        own_close_fd(&fds[1]);
        meeting_done(&m);
    }
}

static void a_refused_connect_is_told(void)
{
    struct meeting m;
    struct err err;
    int fd, listener;
    char address[32];

    meeting_init(&m, NULL, NULL);
    m.server.has_failed = true;
    CHECK(socket_listen_tcp("127.0.0.1:0", false, &listener, &err) == 0);
    ignore(snprintf(address, sizeof(address), "127.0.0.1:%u", socket_port(listener)));
    own_close_fd(&listener);
    CHECK(socket_connect_tcp(address, &fd, &err) == 0);
    meeting_open(&m, &m.client, fd, "127.0.0.1");
    help_run(m.loop);
    CHECK(m.client.has_failed && m.client.err.sys == ECONNREFUSED);
    meeting_done(&m);
}

static void rubbish_is_refused(void)
{
    static const char *const inputs[] = {"GET / HTTP/1.1\r\nHost: box.test\r\n\r\n",
                                         "\x16\x03\x01\x00\x05zzzzz", "\x80\x2e\x01\x00\x02"};

    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        struct meeting m;
        int fds[2];

        meeting_init(&m, NULL, NULL);
        m.client.has_failed = true;
        help_pair(fds);
        meeting_open(&m, &m.server, fds[1], NULL);
        CHECK(write(fds[0], inputs[i], strlen(inputs[i])) > 0);
        CHECK(shutdown(fds[0], SHUT_WR) == 0);
        help_run(m.loop);
        CHECK(m.server.has_failed && m.server.err.kind != ERR_TIMEOUT);
        own_close_fd(&fds[0]);
        meeting_done(&m);
    }
}

/* A wire between both ends that flips one bit of what goes from the client to the server. */
struct wire {
    struct loop *loop;
    struct watch watch[2];
    int fds[2]; /* of the client, of the server */
    size_t seen, flip_at;
};

static void carry(struct wire *w, int from)
{
    char bytes[4096];
    ssize_t n = read(w->fds[from], bytes, sizeof(bytes));

    if (n <= 0) {
        watch_stop(&w->watch[from]);
        ignore(shutdown(w->fds[1 - from], SHUT_WR)); /* gone as well */
        return;
    }
    if (from == 0 && w->flip_at >= w->seen && w->flip_at < w->seen + (size_t)n)
        bytes[w->flip_at - w->seen] ^= (char)(1 << w->flip_at % 8);
    w->seen += from == 0 ? (size_t)n : 0;
    ignore(write(w->fds[1 - from], bytes, (size_t)n)); /* little enough for the kernel */
}

static void on_client_bytes(void *ctx, uint32_t happened)
{
    ignore(happened);
    carry(ctx, 0);
}

static void on_server_bytes(void *ctx, uint32_t happened)
{
    ignore(happened);
    carry(ctx, 1);
}

static void a_flipped_bit_never_passes(void)
{
    struct meeting m;
    struct tls_world world;

    tls_world_init(&world, NULL, NULL);
    for (size_t flip = 0; flip < FLIPS; flip++) {
        struct wire w = {.flip_at = flip * 19};
        int a[2], b[2];
        struct err err;

        m = (struct meeting){.loop = help_loop(), .world = world};
        m.client = (struct side){.meeting = &m, .eats = true, .ends = true, .to_send = 400};
        m.server = (struct side){.meeting = &m, .eats = true, .ends = true, .to_send = 400};
        m.goal = 400;
        help_pair(a);
        help_pair(b);
        w.fds[0] = a[1];
        w.fds[1] = b[1];
        CHECK(watch_start(m.loop, &w.watch[0], w.fds[0], EPOLLIN, on_client_bytes, &w, &err) == 0);
        CHECK(watch_start(m.loop, &w.watch[1], w.fds[1], EPOLLIN, on_server_bytes, &w, &err) == 0);
        meeting_open(&m, &m.client, a[0], "box.test");
        meeting_open(&m, &m.server, b[0], NULL);
        help_spin(m.loop, 3);
        CHECK(w.seen <= w.flip_at || m.server.got == 0 || !m.server.has_eof);
        watch_stop(&w.watch[0]);
        watch_stop(&w.watch[1]);
        stream_close(&m.client.stream);
        stream_close(&m.server.stream);
        tls_close(m.client.tls);
        tls_close(m.server.tls);
        own_close_fd(&a[1]);
        own_close_fd(&b[1]);
        loop_free(m.loop);
    }
    tls_world_done(&world);
}

/* A client made of plain OpenSSL tries what we never do. */
static void never_renegotiates(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct meeting m;
    SSL *ssl;
    int fds[2], done = 0;
    char byte;

    meeting_init(&m, NULL, NULL);
    m.client.has_failed = true;
    m.server.ends = false;
    m.server.to_send = 1;
    help_pair(fds);
    meeting_open(&m, &m.server, fds[1], NULL);
    CHECK(ctx != NULL && SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION) == 1);
    ssl = SSL_new(ctx);
    CHECK(ssl != NULL && SSL_set_fd(ssl, fds[0]) == 1);
    for (int i = 0; i < 10 && done != 1; i++) {
        done = SSL_connect(ssl);
        help_spin(m.loop, 1);
    }
    CHECK(done == 1 && m.server.is_open);
    CHECK(SSL_get_max_early_data(ssl) == 0 && SSL_session_reused(ssl) == 0);
    CHECK(SSL_renegotiate(ssl) == 1);
    for (int i = 0; i < 5; i++) {
        ignore(SSL_do_handshake(ssl)); /* it is not answered */
        help_spin(m.loop, 1);
    }
    CHECK(SSL_renegotiate_pending(ssl) == 1 || SSL_read(ssl, &byte, 1) <= 0);
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    own_close_fd(&fds[0]);
    meeting_done(&m);
}

static void on_relay_end(void *ctx)
{
    struct meeting *m = ctx;

    ignore(m->goal > 0);
}

struct tunnel {
    struct meeting *meeting;
    struct tls *tls;
    struct relay *relay;
    int inner;
};

static void on_tunnel_ready(void *ctx, struct tls *t, const struct err *err)
{
    struct tunnel *n = ctx;
    struct err failure;
    const struct relay_spec spec = {.a = -1,
                                    .b = n->inner,
                                    .on_end = on_relay_end,
                                    .ctx = n->meeting,
                                    .over_a = tls_transport(t)};

    CHECK(err == NULL);
    n->tls = NULL;
    CHECK(relay_start(n->meeting->loop, &spec, &n->relay, &failure) == 0);
}

/* The far end of the relay is a stream without TLS. */
static void a_relay_runs_over_it(void)
{
    struct meeting m;
    struct tunnel n = {.meeting = &m};
    struct tls_spec spec;
    struct err err;
    int outer[2], inner[2];

    meeting_init(&m, NULL, NULL);
    m.goal = m.client.to_send = m.server.to_send = BULK;
    help_pair(outer);
    help_pair(inner);
    n.inner = inner[0];
    spec = (struct tls_spec){
        .fd = outer[1], .context = m.world.server, .fn = on_tunnel_ready, .ctx = &n};
    CHECK(tls_open(m.loop, &spec, &n.tls, &err) == 0);
    CHECK(stream_open(&m.server.stream, m.loop, inner[1], false, &meeting_events, &m.server,
                      &err) == 0);
    side_produce(&m.server);
    meeting_open(&m, &m.client, outer[0], "box.test");
    help_run(m.loop);
    CHECK(m.client.got == BULK && m.server.got == BULK && m.client.has_eof && m.server.has_eof);
    help_spin(m.loop, 1); /* the relay's own end */
    meeting_done(&m);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"any number of bytes goes both ways, then the ends",            talks_both_ways           },
        {"ALPN and the name asked for",                                  agrees_on_a_protocol      },
        {"a client verifies names and addresses",                        verifies_the_host         },
        {"a client refuses authorities it was not given",                refuses_unknown_roots     },
        {"a server without a certificate for a name ends the handshake", refuses_uncertified       },
        {"bytes that were read before belong to the handshake",          takes_bytes_read_before   },
        {"a cut is not an end",                                          tells_a_cut_from_an_end   },
        {"closing sends close_notify",                                   closing_says_so           },
        {"a stalled reader costs bounded memory",                        a_stall_holds_little      },
        {"a silent peer meets the deadline",                             a_silent_peer_is_late     },
        {"a refused connection is told",                                 a_refused_connect_is_told },
        {"rubbish ends the handshake",                                   rubbish_is_refused        },
        {"a flipped bit never passes",                                   a_flipped_bit_never_passes},
        {"no renegotiation, no early data",                              never_renegotiates        },
        {"a relay runs over it",                                         a_relay_runs_over_it      },
        {"no descriptor is left open",                                   help_no_leak              },
    };

    return help_main(tests, COUNT_OF(tests), argc, argv);
}

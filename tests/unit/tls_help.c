/* SPDX-License-Identifier: Apache-2.0 */
/* See tls_help.h. */
#include "tls_help.h"

#include "io_help.h"
#include "test.h"

static const struct cert *choose(void *ctx, struct str server_name)
{
    struct tls_world *w = ctx;

    CHECK(str_to_c(server_name, w->asked_text, sizeof(w->asked_text)));
    w->asked = str_of(w->asked_text);
    return w->refuses ? NULL : w->leaf;
}

void tls_world_init(struct tls_world *w, const char *const *server_protocols,
                    const char *const *client_protocols)
{
    const struct str names[] = {STR("box.test"), STR("*.box.test"), STR("127.0.0.1")};
    struct buf roots;
    struct err err;

    *w = (struct tls_world){0};
    CHECK(cert_make_authority("Test authority", 30, &w->authority, &err) == 0);
    CHECK(cert_issue(w->authority, names, COUNT_OF(names), 7, &w->leaf, &err) == 0);
    buf_init(&roots, CERT_PEM_MAX);
    CHECK(cert_put_chain(w->authority, &roots, &err) == 0);
    CHECK(tls_server_context(
              &(struct tls_server_spec){.choose = choose, .ctx = w, .protocols = server_protocols},
              &w->server, &err) == 0);
    CHECK(tls_client_context(&(struct tls_client_spec){.roots_pem = buf_str(&roots),
                                                       .protocols = client_protocols},
                             &w->client, &err) == 0);
    buf_done(&roots);
}

void tls_world_done(struct tls_world *w)
{
    tls_context_free(w->server);
    tls_context_free(w->client);
    cert_free(w->leaf);
    cert_free(w->authority);
}

static char pattern_at(size_t at)
{
    return (char)(at * 131 + (at >> 9));
}

void side_produce(struct side *s)
{
    char block[5000];
    bool may_go_on = true;

    while (s->sent < s->to_send && may_go_on) {
        size_t len = s->to_send - s->sent < sizeof(block) ? s->to_send - s->sent : sizeof(block);

        for (size_t i = 0; i < len; i++)
            block[i] = pattern_at(s->sent + i);
        may_go_on = stream_write(&s->stream, (struct str){block, len});
        s->sent += len;
    }
    if (s->sent == s->to_send && s->ends)
        stream_end(&s->stream);
}

static void check_over(struct meeting *m)
{
    bool is_done = true;

    for (int i = 0; i < 2; i++) {
        const struct side *s = i == 0 ? &m->client : &m->server;

        is_done = is_done && (s->has_failed || s->sys != 0 || (s->has_eof && s->got == m->goal));
    }
    if (is_done)
        loop_stop(m->loop);
}

void side_read(void *ctx)
{
    struct side *s = ctx;

    if (!s->eats)
        return;
    for (size_t i = 0; i < s->stream.in.len; i++)
        CHECK(s->stream.in.at[i] == pattern_at(s->got + i));
    s->got += s->stream.in.len;
    stream_consume(&s->stream, s->stream.in.len);
    s->has_eof = s->has_eof || s->stream.eof;
    check_over(s->meeting);
}

static void on_drain(void *ctx)
{
    side_produce(ctx);
}

static void on_fail(void *ctx)
{
    struct side *s = ctx;

    s->sys = s->stream.sys;
    stream_close(&s->stream);
    s->is_open = false;
    check_over(s->meeting);
}

const struct stream_events meeting_events = {side_read, on_drain, on_fail, BOX, OUT_BOX};

void meeting_ready(void *ctx, struct tls *t, const struct err *err)
{
    struct side *s = ctx;
    struct meeting *m = s->meeting;

    CHECK(t == s->tls && !s->is_ready && !s->has_failed);
    if (err != NULL) {
        s->has_failed = true;
        s->err = *err;
        tls_close(t);
        s->tls = NULL;
        check_over(m);
        return;
    }
    s->is_ready = true;
    if (m->stops_when_ready) {
        if (m->client.is_ready && m->server.is_ready)
            loop_stop(m->loop);
        return;
    }
    stream_open_over(&s->stream, tls_transport(t), &meeting_events, s);
    s->tls = NULL;
    s->is_open = true;
    side_produce(s);
}

void meeting_init(struct meeting *m, const char *const *server_protocols,
                  const char *const *client_protocols)
{
    *m = (struct meeting){.loop = help_loop()};
    m->client = (struct side){.meeting = m, .eats = true, .ends = true};
    m->server = (struct side){.meeting = m, .eats = true, .ends = true};
    tls_world_init(&m->world, server_protocols, client_protocols);
}

void meeting_open(struct meeting *m, struct side *s, int fd, const char *host)
{
    struct err err;
    const struct tls_spec spec = {.fd = fd,
                                  .context = host != NULL ? m->world.client : m->world.server,
                                  .host = host,
                                  .fn = meeting_ready,
                                  .ctx = s};

    CHECK(tls_open(m->loop, &spec, &s->tls, &err) == 0);
}

void meeting_start(struct meeting *m, const char *host)
{
    int fds[2];

    help_pair(fds);
    meeting_open(m, &m->client, fds[0], host);
    meeting_open(m, &m->server, fds[1], NULL);
}

void meeting_done(struct meeting *m)
{
    for (int i = 0; i < 2; i++) {
        struct side *s = i == 0 ? &m->client : &m->server;

        stream_close(&s->stream);
        tls_close(s->tls);
    }
    tls_world_done(&m->world);
    loop_free(m->loop);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of TLS share: an authority, a server's certificate, contexts of both sides, and
 * two ends that meet over a pair of sockets. */
#ifndef UNIT_TLS_HELP_H
#define UNIT_TLS_HELP_H

#include "io/stream.h"
#include "io/tls.h"

struct tls_world {
    struct cert *authority, *leaf; /* leaf: for box.test and *.box.test, 127.0.0.1 */
    struct tls_context *server, *client;
    struct str asked; /* the name that the last hello had */
    char asked_text[TLS_HOST_MAX + 1];
    bool refuses; /* there is no certificate */
};

void tls_world_init(struct tls_world *w, const char *const *server_protocols,
                    const char *const *client_protocols);
void tls_world_done(struct tls_world *w);

enum {
    BOX = 64 << 10,
    OUT_BOX = 256 << 10,
};

/* One end: a handshake, then a stream that writes a pattern and checks the one that comes. */
struct side {
    struct meeting *meeting;
    struct tls *tls;
    struct stream stream;
    struct err err;
    bool is_ready, has_failed, is_open, has_eof;
    int sys;
    size_t got, sent, to_send;
    bool eats, ends;
};

struct meeting {
    struct loop *loop;
    struct tls_world world;
    struct side client, server;
    size_t goal; /* stop when each side has this many bytes and the end */
    bool stops_when_ready;
};

extern const struct stream_events meeting_events;

void meeting_init(struct meeting *m, const char *const *server_protocols,
                  const char *const *client_protocols);
void meeting_done(struct meeting *m);
/* A side over this descriptor; host NULL: the server's. */
void meeting_open(struct meeting *m, struct side *s, int fd, const char *host);
void meeting_start(struct meeting *m, const char *host); /* both, over a pair */
void meeting_ready(void *ctx, struct tls *t, const struct err *err);
void side_produce(struct side *s);
void side_read(void *ctx);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/2 in front of an http_server (RFC 9113, by nghttp2): each stream of a connection becomes a
 * connection of its own to the server, over a transport that carries HTTP/1.1 messages. So handlers
 * see no difference, and what arrives is judged twice: by the rules of HTTP/2, and by the strict
 * parser of http/head.h, which reads what we wrote from the fields.
 *
 * Bounded for each connection: streams at once, the window of all uploads together, what waits of
 * each answer, a field section, and a budget of frames that ask for nothing (resets, pings,
 * settings, empty data): who spends it is sent ENHANCE_YOUR_CALM and cut off.
 *
 * WebSockets come as extended CONNECT (RFC 8441) and leave as an HTTP/1.1 upgrade. */
#ifndef HTTP_H2_H
#define HTTP_H2_H

#include "http/server.h"

struct h2_server;

enum {
    H2_STREAMS_MAX = 100,  /* of a connection at once */
    H2_WINDOW = 256 << 10, /* bytes of all uploads of a connection that wait for the server */
    H2_STREAM_WINDOW = 64 << 10,
    H2_ANSWER_MAX = 64 << 10,   /* bytes of one answer that wait for the client */
    H2_IDLE_FRAMES_BURST = 500, /* frames that ask for nothing, and how many more each second */
    H2_IDLE_FRAMES_RATE = 50,
};

/* `limits` as of the server, which must outlive this. */
must_check int h2_server_new(struct loop *l, struct http_server *server,
                             const struct http_limits *limits, struct h2_server **out,
                             struct err *err);
/* Takes a connection whose first bytes are the preface. Its streams have the plane of the tag only:
 * `stream_tag`. */
void h2_server_adopt_over(struct h2_server *s, struct transport *t, unsigned tag,
                          unsigned stream_tag);
/* The same for a descriptor, of which these bytes were read before. */
void h2_server_adopt(struct h2_server *s, int fd, struct str first, unsigned tag,
                     unsigned stream_tag);
/* Called with its tag when a connection ends. */
void h2_server_on_close(struct h2_server *s, close_fn *fn, void *ctx);
size_t h2_server_connections(const struct h2_server *s);
/* Peers are told to go elsewhere, and a second later which of their streams was the last that is
 * served; connections end with it. */
void h2_server_drain(struct h2_server *s);
void h2_server_free(struct h2_server *s); /* NULL is fine */

#endif

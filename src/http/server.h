/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 server: connections on a loop, exchanges handed to a handler.
 *
 * An exchange is one request and its answer; both halves flow independently (full duplex): the
 * answer may start before the request body ends and the other way round. Backpressure is part of
 * the interface: a body callback that consumes less stops the peer; exchange_write() says when to
 * stop producing.
 *
 * Life: on_request is called when the head is complete. The handler must eventually end the answer
 * (exchange_reply, exchange_end, exchange_detach) or exchange_abort(). If the peer vanishes first,
 * on_gone is called (set it if you keep the pointer across a turn) and the exchange is invalid
 * afterwards. After the answer has ended the exchange must not be touched; what is left of the
 * request body is drained (bounded) or the connection closed. Pipelined requests wait their turn.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include "base/arena.h"
#include "http/head.h"
#include "io/transport.h"

struct http_server;
struct exchange;

/* Zero in any field but stall_ms means the default. */
struct http_limits {
    uint32_t head_ms;         /* from the first byte to the complete head; default 10 s */
    uint32_t idle_ms;         /* keep-alive without a request; default 640 s */
    uint32_t stall_ms;        /* body or answer without progress; 0 = none (streams) */
    uint32_t connections_max; /* further ones are closed at once; default 4096 */
    uint64_t drain_max;       /* unread body bytes skipped to keep a connection; default 256 KiB */
    uint32_t head_max;        /* bytes of a request's head; default, and at most, HTTP_HEAD_MAX */
};

typedef void request_fn(void *ctx, struct exchange *x);
typedef void exchange_fn(void *ctx, struct exchange *x);
/* Bytes of the request body. Returns how many were consumed; less than data.len pauses delivery
 * until exchange_resume(). is_last is true once, with no bytes, after all of them were consumed. */
typedef size_t body_fn(void *ctx, struct exchange *x, struct str data, bool is_last);

/* limits may be NULL for the defaults. */
must_check int http_server_new(struct loop *l, const struct http_limits *limits,
                               request_fn *on_request, void *ctx, struct http_server **out,
                               struct err *err);
/* Serve a connected descriptor (takes it). `tag` is the caller's number for where it came from
 * (listener, control socket); see exchange_tag().
 *
 * When is a peer gone? Its end (FIN, EOF) says only that it sends no more: a peer that half-closes
 * behind a complete request gets the whole answer, then the connection is closed; one whose request
 * body can never be complete is gone. Gone is also whose connection was reset or closed both ways
 * (HUP, ERR; a unix socket says so at once). A TCP peer that closed instead of half-closing looks
 * the same until it is written to: the next bytes of the answer earn a reset, and without any the
 * keepalive probes of socket_listen_tcp() do, as they find peers that vanished without a word. */
void http_server_adopt(struct http_server *s, int fd, unsigned tag);
/* The same over a transport (TLS, a stream of HTTP/2). */
void http_server_adopt_over(struct http_server *s, struct transport *t, unsigned tag);
/* Called with its tag when a connection ends that was not given away by exchange_detach(). */
typedef void close_fn(void *ctx, unsigned tag);
void http_server_on_close(struct http_server *s, close_fn *fn, void *ctx);
/* Called instead of a refusal when a connection over a descriptor begins with the preface of
 * HTTP/2: it takes the descriptor and what was read of it. The connection is not told to close_fn.
 */
typedef void preface_fn(void *ctx, int fd, struct str first, unsigned tag);
void http_server_on_preface(struct http_server *s, preface_fn *fn, void *ctx);
/* Close idle connections, let running exchanges end, then call on_done. */
void http_server_drain(struct http_server *s, loop_fn *on_done, void *ctx);
/* Nobody is cut off, new connections are served too, but each answer is the last of its connection:
 * peers go elsewhere. */
void http_server_retire(struct http_server *s);
void http_server_free(struct http_server *s); /* closes everything; on_gone is called */
size_t http_server_connections(const struct http_server *s);

/* Request side. The head is valid until the exchange ends. */
const struct http_head *exchange_head(const struct exchange *x);
struct arena *exchange_arena(struct exchange *x); /* freed with the exchange; 1 MiB at most */
unsigned exchange_tag(const struct exchange *x);
/* The peer's address without its port ("192.0.2.1", "2001:db8::1"); empty for a unix socket. */
struct str exchange_peer(const struct exchange *x);
/* The processor that took the peer's last packet from the network; -1: unknown. */
int exchange_cpu(const struct exchange *x);
void exchange_on_body(struct exchange *x, body_fn *fn, void *ctx);
void exchange_resume(struct exchange *x);
/* In the is_last call of body_fn: as http_conn_trailers(). */
struct str exchange_trailers(const struct exchange *x);

struct http_conn;

/* From body_fn, or behind it: as http_conn_splice(), for the request's body. The call on `c` must
 * outlive it, or the answer be ended with it; its on_drain calls exchange_resume(). */
void exchange_splice(struct exchange *x, struct http_conn *c, moved_fn *on_moved, void *ctx);
/* From body_fn: what is long enough goes into the file, from where it stands, and body_fn gets the
 * rest: the last bytes of a body whose length is not known, and all that the file did not take. It
 * must stay open until the body is complete or the exchange over. */
void exchange_splice_file(struct exchange *x, int fd, moved_fn *on_moved, void *ctx);
/* Gather the whole body (at most max bytes), then call `fn` with exchange_body() set. A larger body
 * is answered 413 by `too_large` if given, else with the plain default, and fn is not called.
 * Like body_fn, both are called from the loop, never from inside this call. */
void exchange_collect(struct exchange *x, size_t max, exchange_fn *fn, exchange_fn *too_large,
                      void *ctx);
struct str exchange_body(const struct exchange *x);
void exchange_on_gone(struct exchange *x, exchange_fn *fn, void *ctx);
/* The 100 Continue that the peer asked for is sent when the body is first wanted. */

/* Answer side. */
enum {
    REPLY_CHUNKED = -1, /* length not known: chunked (HTTP/1.0 peers: until close) */
};

struct reply {
    unsigned status;
    const struct http_field *fields; /* framing and connection fields in it are left out: those are
                                      * ours. 101: Upgrade must be among them */
    size_t field_count;
    int64_t length; /* body bytes, or REPLY_CHUNKED; ignored for 1xx, 204 and 304; to HEAD it is
                     * told, but no body is sent */
    bool close;     /* close the connection after this answer */
};

/* Head and whole body at once. content_type may be NULL (none). */
void exchange_reply(struct exchange *x, unsigned status, const char *content_type, struct str body);
/* Head now, body by exchange_write(), then exchange_end(). */
void exchange_start(struct exchange *x, const struct reply *r);
/* False: more than STREAM_HIGH unsent, wait for on_drain. Never fails otherwise; a dead peer is
 * told by on_gone. Small writes leave together at the end of the turn; bytes beyond the announced
 * length are dropped. */
bool exchange_write(struct exchange *x, struct str data);
/* Up to `len` bytes of a file from where it stands, without a copy; the answer's length must have
 * been announced. Returns as stream_send_file(): 0 means wait for on_drain. */
ssize_t exchange_send_file(struct exchange *x, int fd, size_t len);
void exchange_on_drain(struct exchange *x, exchange_fn *fn, void *ctx);
/* Fewer bytes than announced: as exchange_abort(). */
void exchange_end(struct exchange *x);
/* The same with trailers (whole lines): sent behind a chunked body, else left out. */
void exchange_end_with(struct exchange *x, struct str trailers);
bool exchange_is_started(const struct exchange *x);
/* Cut the connection without ending the answer: the peer sees a truncated body. */
void exchange_abort(struct exchange *x);
/* After exchange_start() with 101: give the socket away with the bytes that were read beyond the
 * head (`out_rest`, caller's). The exchange is over. -1 when the peer does not take even the head:
 * the connection is closed then. */
int exchange_detach(struct exchange *x, struct buf *out_rest);
/* The same for one over a transport; NULL when the peer does not take the head. */
bool exchange_has_transport(const struct exchange *x);
struct transport *exchange_detach_over(struct exchange *x, struct buf *out_rest);

#endif

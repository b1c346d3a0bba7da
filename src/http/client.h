/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 client on a loop: one connection, one call at a time, both halves independent.
 *
 * The mirror of http/server.h. Calls never block; the answer's body is delivered with backpressure;
 * a connection is reusable when both halves of the last call ended cleanly. Pools belong to the
 * caller (edge keys them by sandbox and port). */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "http/head.h"
#include "io/transport.h"

struct http_conn;

struct call_request {
    struct str method, target;
    const struct http_field *fields; /* Host included; framing and connection fields are ours and
                                      * left out */
    size_t field_count;
    int64_t length;  /* body bytes that will follow, REPLY_CHUNKED (-1), or 0 for none */
    bool is_upgrade; /* send "Connection: upgrade" and `upgrade` as Upgrade */
    struct str upgrade;
};

struct call_events {
    /* Head of the answer (1xx other than 101 are swallowed). Valid during the callback, and only
     * until http_conn_detach(). */
    void (*on_head)(void *ctx, const struct http_head *h);
    /* As body_fn: returns bytes consumed; fewer pauses until http_conn_resume(). is_last comes
     * once, with no bytes; an answer without body has it too, a 101 has not. In that call the
     * connection is free for the next http_conn_call(), if http_conn_is_idle() says so. */
    size_t (*on_body)(void *ctx, struct str data, bool is_last);
    /* Request body: unsent bytes fell under the low mark. */
    void (*on_drain)(void *ctx);
    /* Connection failed, malformed answer, or peer closed too early. No further callback. The
     * connection must be freed. `is_fresh`: not one byte of an answer was seen. */
    void (*on_fail)(void *ctx, const struct err *err, bool is_fresh);
};

/* Takes the descriptor, connected or connecting. */
must_check int http_conn_new(struct loop *l, int fd, bool is_connecting, struct http_conn **out,
                             struct err *err);
/* The same over a transport (TLS), which it takes. */
must_check int http_conn_new_over(struct transport *t, struct http_conn **out, struct err *err);
bool http_conn_has_transport(const struct http_conn *c);
/* Closes; no callback; callable from any callback. A call that is under way is cut with a reset: a
 * mere end could be a half-close, behind which the peer would go on answering. */
void http_conn_free(struct http_conn *c);

/* Only on an idle connection. A field or target that would break the head is told by on_fail. */
void http_conn_call(struct http_conn *c, const struct call_request *r,
                    const struct call_events *events, void *ctx);
bool http_conn_write(struct http_conn *c, struct str data); /* false: wait for on_drain */
/* Request body complete. Harmless without a body. With fewer bytes than announced the connection
 * is spent. */
void http_conn_end(struct http_conn *c);
/* The same with trailers (whole lines): sent behind a chunked body, else left out. */
void http_conn_end_with(struct http_conn *c, struct str trailers);
void http_conn_resume(struct http_conn *c);
/* In the is_last call of on_body: the trailer lines of the answer, CRLF included, well-formed;
 * their names are not checked: they may be any. */
struct str http_conn_trailers(const struct http_conn *c);

struct exchange;

/* From on_head, after exchange_start(): the rest of this answer, if it is long and both lengths are
 * known, goes to x without passing through on_body, which gets what comes before and is_last. The
 * exchange must outlive the call: free the connection when x is gone. While the client is slow
 * x's on_drain calls http_conn_resume(), as always. */
void http_conn_splice(struct http_conn *c, struct exchange *x, moved_fn *on_moved, void *ctx);
/* Both halves ended and the peer keeps the connection. An idle connection that the peer closes
 * calls on_idle_close (if set), after which it must be freed. */
bool http_conn_is_idle(const struct http_conn *c);
/* Idle, and the kernel holds neither bytes nor an end that the loop has not told yet: ask before a
 * connection that was idle is used again. */
bool http_conn_is_usable(const struct http_conn *c);
void http_conn_on_idle_close(struct http_conn *c, void (*fn)(void *ctx), void *ctx);
/* After a 101, from on_head or later: the socket and the bytes behind the head (caller's). The
 * connection object is freed. -1 when the connection has failed. */
int http_conn_detach(struct http_conn *c, struct buf *out_rest);
/* The same for one over a transport, or NULL. */
struct transport *http_conn_detach_over(struct http_conn *c, struct buf *out_rest);

/* Blocking convenience for command-line tools: one request, whole answer (at most HTTP_FETCH_MAX
 * bytes), over TCP "host:port" (an address or localhost) or a unix socket path. r->length is
 * ignored: it is that of `body`. out->body is the caller's. */
enum { HTTP_FETCH_MAX = 64 << 20 };

struct http_answer {
    unsigned status;
    struct buf body;
};

must_check int http_fetch(const char *address, const struct call_request *r, struct str body,
                          uint32_t timeout_ms, struct http_answer *out, struct err *err);

#endif

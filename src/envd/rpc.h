/* SPDX-License-Identifier: Apache-2.0 */
/* Connect-RPC plumbing: from an exchange to a decoded request, and back. The handlers behind it
 * (process_rpc.c, filesystem_rpc.c) see structs only; JSON or protobuf is this file's business. */
#ifndef ENVD_RPC_H
#define ENVD_RPC_H

#include "base/arena.h"
#include "codec/codec.h"
#include "envd/users.h"
#include "http/connect.h"
#include "http/server.h"

struct guest;

enum {
    RPC_BODY_MAX = 4 << 20,   /* largest request message */
    RPC_ARENA_MAX = 16 << 20, /* memory to decode and serve one request */
    RPC_KEEPALIVE_S = 90,     /* when the client names no interval */
    RPC_KEEPALIVE_MAX_S = 86400,
};

/* Whom to answer, and in which form. Small enough to keep across turns. */
struct rpc_peer {
    struct exchange *x;
    enum connect_form form;
};

struct rpc_call {
    struct guest *guest;
    struct rpc_peer peer;
    const struct rpc_method *method;
    struct arena arena;    /* the request and what serves it; a handler may take it (zero it) */
    const void *in;        /* the decoded request */
    uint64_t timeout_ms;   /* Connect-Timeout-Ms; 0 = none */
    uint64_t keepalive_ms; /* streams: silence after which a keepalive is due */
};

/* Must answer now or later: rpc_reply, rpc_fail or, for streams, rpc_stream_open and so on. */
typedef void rpc_fn(struct rpc_call *call);

struct rpc_method {
    const struct codec_message *request, *response;
    bool is_stream;
    rpc_fn *fn; /* NULL: the method is known and not implemented */
};

/* Called by the router: reads the request, then runs m->fn. */
void rpc_begin(struct guest *g, struct exchange *x, const struct rpc_method *m);

/* Unary answers. */
void rpc_reply(struct rpc_peer p, const struct codec_message *m, const void *out);
/* The answer already encoded; takes the contents of `body`. */
void rpc_reply_buf(struct rpc_peer p, struct buf *body);
/* Errors, unary or as the only envelope of a stream. */
void rpc_fail(struct rpc_peer p, enum connect_code code, const char *format, ...) printf_like(3, 4);
void rpc_fail_err(struct rpc_peer p, const struct err *err);

/* Streams: head (with further fields, if any), messages, end. */
void rpc_stream_open(struct rpc_peer p);
void rpc_stream_open_with(struct rpc_peer p, const struct http_field *fields, size_t count);
/* Append one enveloped message to `out`; check buf_ok(). In the forms of the other door: an event,
 * and `in` is a struct event_response. */
void rpc_envelope(enum connect_form form, const struct codec_message *m, const void *in,
                  struct buf *out);
void rpc_stream_end(struct rpc_peer p, enum connect_code code, const char *text);

/* For methods that read their request themselves, message by message (process_feed.c).
 * The form that the request's Content-Type names. False: it has been answered with 415. */
must_check bool rpc_stream_form(struct exchange *x, enum connect_form *out);
must_check int rpc_decode(enum connect_form form, const struct codec_message *m, struct str message,
                          struct arena *a, void *out, struct err *err);
/* Connect-Timeout-Ms of a request; 0 = none. */
uint64_t rpc_timeout_ms(const struct exchange *x);

/* Who calls: the name in the Authorization field, else the default user. On failure the call has
 * been answered. */
must_check int rpc_user(struct rpc_call *call, struct user *out);

#endif

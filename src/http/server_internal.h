/* SPDX-License-Identifier: Apache-2.0 */
/* Private to http/: the objects behind server.h. server.c owns connections (`session`), exchange.c
 * the request side of an exchange, answer.c its answer side. */
#ifndef HTTP_SERVER_INTERNAL_H
#define HTTP_SERVER_INTERNAL_H

#include "http/body_internal.h"
#include "http/server.h"
#include "io/socket.h"

enum {
    EXCHANGE_ARENA_MAX = 1 << 20,
    LINGER_MS = 2000,       /* a refused peer may send this long before the connection is cut */
    EXCHANGE_TICK_MS = 5000 /* how often a running exchange is looked at */
};

enum session_state {
    SESSION_HEAD,     /* waits for a request */
    SESSION_EXCHANGE, /* one is being answered */
    SESSION_SKIP,     /* it is answered, the rest of its body is skipped */
    SESSION_LINGER,   /* our end is sent; what still comes is dropped */
    SESSION_CLOSED,   /* freed when the last function that works on it returns */
};

/* What the timer is waiting for. */
enum session_wait {
    WAIT_NONE,
    WAIT_REQUEST,
    WAIT_HEAD,
    WAIT_FLUSH, /* for the peer to read answers */
    WAIT_EXCHANGE,
    WAIT_SKIP,
    WAIT_LINGER,
};

struct session {
    struct list_node node;
    struct http_server *server;
    struct loop *loop;
    struct stream stream;
    struct outbox out;
    struct timer timer;
    struct task wake;
    struct exchange *x; /* in SESSION_EXCHANGE and SESSION_SKIP */
    uint64_t skipped;
    uint64_t progress_ms, sent_seen; /* when the peer last took or gave a byte */
    size_t seen;                     /* bytes of the in-box that hold no whole head */
    unsigned tag, depth;             /* depth: functions at work on it; callbacks may close it */
    uint8_t state, wait;
    bool has_peer;    /* it was looked up */
    bool is_detached; /* its socket has another owner */
    char peer[SOCKET_ADDRESS_MAX];
};

struct http_server {
    struct loop *loop;
    struct http_limits limits;
    request_fn *on_request;
    void *ctx;
    struct list sessions;
    size_t count;
    struct buf scratch;    /* where heads are built */
    struct http_head head; /* where they are parsed */
    bool is_draining, is_retiring;
    close_fn *on_close;
    void *close_ctx;
    preface_fn *on_preface;
    void *preface_ctx;
    loop_fn *on_drained;
    void *drained_ctx;
    struct task drained;
};

struct collect {
    struct buf body;
    size_t max;
    exchange_fn *fn, *too_large;
    void *ctx;
    bool is_too_large;
};

struct exchange {
    struct session *session;
    struct arena arena;
    /* request side */
    struct body body;
    struct bypass bypass;
    body_fn *on_body;
    void *body_ctx;
    struct collect collect;
    bool is_paused, is_resumed, is_body_told, is_continued;
    /* answer side */
    struct sink sink;
    bool is_started, is_answered, must_close;
    bool is_over; /* gone or aborted: calls do nothing */
    exchange_fn *on_drain, *on_gone;
    void *drain_ctx, *gone_ctx;
    struct http_head head; /* zeroed up to its fields only; its slices point into bytes */
    char bytes[];
};

/* server.c */
void session_enter(struct session *s);
void session_leave(struct session *s);
void session_wake(struct session *s);  /* go on when the functions at work return, or */
void session_later(struct session *s); /* at the end of this turn */
void session_close(struct session *s); /* now; no callback */
void session_fail(struct session *s);  /* tell on_gone, then close */
/* Send our end; close when the peer had its time to read. */
void session_shut(struct session *s);
/* Answer a request that is none, then shut. `why` is plain ASCII without quotes. */
void session_refuse(struct session *s, unsigned status, const char *why);

/* exchange.c: steps of a session; true: call the step of the (new) state again. */
bool session_read_head(struct session *s);
bool session_run_exchange(struct session *s);
bool session_skip_body(struct session *s);
void exchange_free(struct exchange *x);
/* Is the peer the one who has to move? */
bool exchange_waits_for_peer(const struct exchange *x);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Private to http/: the object behind client.h. client.c owns the connection and the answer, call.c
 * the request. */
#ifndef HTTP_CLIENT_INTERNAL_H
#define HTTP_CLIENT_INTERNAL_H

#include "http/body_internal.h"
#include "http/client.h"

enum {
    INTERIM_MAX = 16 /* 1xx answers in front of the real one */
};

enum conn_state {
    CONN_IDLE,
    CONN_HEAD, /* waits for the head of the answer */
    CONN_BODY,
    CONN_TAIL,     /* the answer is complete, the request is not */
    CONN_UPGRADED, /* waits for http_conn_detach() */
    CONN_SPENT,    /* not usable any more: failed, or the peer ends it */
    CONN_FREED,    /* memory goes when the last function that works on it returns */
};

struct http_conn {
    struct loop *loop;
    struct stream stream;
    struct outbox out;
    struct task wake;
    struct call_events events;
    void *ctx;
    void (*on_idle_close)(void *ctx);
    void *idle_ctx;
    struct sink sink; /* of the request */
    struct body body; /* of the answer */
    struct bypass bypass;
    size_t seen;     /* bytes of the in-box that hold no whole head */
    size_t head_len; /* head in the in-box that on_head is looking at */
    unsigned depth, interims;
    uint8_t state;
    bool is_head_call, is_upgrade_call, is_request_ended, keep_alive;
    bool is_broken_call; /* its head could not be built or sent */
    bool is_short;       /* its body was */
    bool is_fresh;       /* no byte of an answer was seen */
    bool is_paused, is_resumed;
};

void conn_enter(struct http_conn *c);
void conn_leave(struct http_conn *c);
void conn_wake(struct http_conn *c); /* go on at the end of this turn */
void conn_fail(struct http_conn *c, const struct err *err);
/* Both halves ended: idle, or spent when the peer does not keep it. */
void conn_settle(struct http_conn *c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Client of a WebSocket (RFC 6455) on a loop: the handshake over a connection of http/client.h,
 * then messages. What we send is masked and whole; what comes may be in fragments of any size, up
 * to WS_MESSAGE_MAX; pings are answered. No extension, no subprotocol.
 *
 * Callbacks run from the loop, never from inside a websocket_… call; any of them may free it. */
#ifndef HTTP_WEBSOCKET_H
#define HTTP_WEBSOCKET_H

#include "http/client.h"
#include "http/ws_frame.h"

enum {
    /* Bytes that may wait to be sent; past it the connection has failed: the peer reads nothing. */
    WS_OUT_MAX = 2 * WS_MESSAGE_MAX,
    WS_SHAKE_MS = 10 * 1000, /* for the handshake */
    WS_LEAVE_MS = 2 * 1000,  /* from our close frame to the peer's, when little is on the way */
};

struct websocket;

struct websocket_events {
    void (*on_open)(void *ctx);
    /* A text is UTF-8. Valid during the callback. */
    void (*on_message)(void *ctx, bool is_text, struct str data);
    void (*on_alive)(void *ctx); /* a frame of any kind has begun; may be NULL */
    void (*on_drain)(void *ctx); /* after a false of websocket_send(); may be NULL */
    /* Once, and last. `code` is the peer's; or WS_ABNORMAL, and err says why. Free it. */
    void (*on_close)(void *ctx, unsigned code, const struct err *err);
};

struct websocket_spec {
    struct http_conn *conn; /* taken; connected or connecting */
    struct str host, target;
    const struct http_field *fields; /* further ones */
    size_t field_count;
};

enum { WS_FIELDS_MAX = 8 };

struct websocket *websocket_new(struct loop *l, const struct websocket_spec *spec,
                                const struct websocket_events *events, void *ctx);
void websocket_free(struct websocket *w); /* NULL is fine; no callback */

bool websocket_is_open(const struct websocket *w);
/* False: a lot waits to be sent, on_drain comes; the message is taken all the same. */
bool websocket_send(struct websocket *w, bool is_text, struct str data);
void websocket_ping(struct websocket *w);
/* Says goodbye behind what waits to be sent; on_close follows, `wait_ms` later at most. */
void websocket_leave(struct websocket *w, enum ws_code code, uint64_t wait_ms);
/* Stop and go on reading: a consumer further on is slow. */
void websocket_pause(struct websocket *w);
void websocket_resume(struct websocket *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The client's half of ZMTP 3.0 (https://rfc.zeromq.org/spec/23) over unix sockets, as much as a
 * Jupyter client needs: DEALER and SUB with the NULL mechanism.
 *
 * Messages are delivered whole, one after another; while paused nothing is read, so the kernel
 * waits, not our memory. A message beyond ZMTP_MESSAGE_MAX is read and dropped, and told. */
#ifndef INTERPRETER_ZMTP_H
#define INTERPRETER_ZMTP_H

#include "io/stream.h"

enum {
    ZMTP_MESSAGE_MAX = 32 << 20, /* bytes in all frames of one */
    ZMTP_FRAMES_MAX = 64,
};

enum zmtp_kind {
    ZMTP_DEALER,
    ZMTP_SUB, /* subscribes to everything */
};

struct zmtp_events {
    void (*on_open)(void *ctx); /* both are ready; NULL is fine: what is sent before waits */
    /* Valid during the call. It may close the socket. */
    void (*on_message)(void *ctx, const struct str *frames, size_t count);
    void (*on_dropped)(void *ctx);               /* a message was too large */
    void (*on_fail)(void *ctx, const char *why); /* also the peer's end; close it */
};

struct zmtp {
    struct stream stream; /* private, as all below */
    const struct zmtp_events *events;
    void *ctx;
    enum zmtp_kind kind;
    struct buf message; /* the frames so far, end to end */
    struct buf early;   /* sent before the peer was ready: it takes no message before */
    size_t ends[ZMTP_FRAMES_MAX];
    size_t frames;
    uint64_t left; /* bytes of the current frame still to come */
    uint8_t flags; /* of the current frame */
    uint8_t state;
    bool is_dropping;
    bool is_paused;
};

/* Connects to the socket file. ERR_NOT_FOUND, or sys ECONNREFUSED: nobody is there yet. */
must_check int zmtp_open(struct zmtp *z, struct loop *l, const char *path, enum zmtp_kind kind,
                         const struct zmtp_events *events, void *ctx, struct err *err);
void zmtp_close(struct zmtp *z);
/* One message. What the peer does not read is kept, up to ZMTP_MESSAGE_MAX in all, beyond which the
 * socket fails. */
void zmtp_send(struct zmtp *z, const struct str *frames, size_t count);
void zmtp_pause(struct zmtp *z, bool is_paused);

#endif

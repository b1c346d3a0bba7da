/* SPDX-License-Identifier: Apache-2.0 */
/* A non-blocking byte stream over a descriptor (socket, pipe, pty) with bounded boxes both ways.
 *
 * In: bytes gather in `in` up to in_max; then reading stops by itself until stream_consume() makes
 * room: a slow consumer costs the peer time, never us memory. Out: stream_write() appends to `out`
 * and writes at once if nothing waits; it always accepts (up to the hard maximum out_max) and
 * returns false above STREAM_HIGH bytes: stop producing until on_drain. Empty boxes hold no memory;
 * while bytes come in bulk the in-box keeps its own until a read finds less, or stream_rest().
 *
 * Callbacks run from the loop, never from inside a stream_… call. Any of them may call
 * stream_close() and free the memory the stream is embedded in. */
#ifndef IO_STREAM_H
#define IO_STREAM_H

#include "base/buf.h"
#include "io/transport.h"

enum {
    STREAM_HIGH = 64 << 10, /* unsent bytes above which writers should pause */
    STREAM_LOW = 16 << 10,  /* on_drain fires when unsent bytes fall to this */
    STREAM_READ = 64 << 10, /* most bytes read in one go */
};

struct stream_events {
    loop_fn *on_data;  /* new bytes in `in`, the peer ended (eof), or left for good (hung) */
    loop_fn *on_drain; /* was above STREAM_HIGH, is at or below STREAM_LOW; may be NULL */
    /* Read or write error (sys is set); the stream is dead, close it. What the peer sent before
     * that is delivered first, as far as `in` has room. */
    loop_fn *on_fail;
    size_t in_max, out_max; /* the most bytes that `in` and `out` ever hold */
};

struct stream {
    int fd; /* -1 when closed; of a transport: its `fd` */
    struct buf in, out;
    bool eof;        /* peer sent its end; bytes in `in` are still to be consumed */
    bool hung;       /* it was reset, or closed both ways: nobody reads what we write */
    bool connecting; /* a connect is in progress; writes wait in `out` */
    int sys;         /* errno of the failure */
    const struct stream_events *events;
    void *ctx;
    struct loop *loop;      /* private from here on */
    struct transport *over; /* or NULL: the descriptor itself */
    struct watch watch;
    struct task wake;
    uint16_t flags;
};

/* Takes the descriptor, also when it fails (non-blocking is set here). With is_connecting the first
 * writability ends the connect: success is silent, failure is on_fail. Reading is on. */
must_check int stream_open(struct stream *s, struct loop *l, int fd, bool is_connecting,
                           const struct stream_events *events, void *ctx, struct err *err);
/* The same over a transport, which it takes. */
void stream_open_over(struct stream *s, struct transport *t, const struct stream_events *events,
                      void *ctx);
struct transport *stream_over(const struct stream *s); /* NULL: its descriptor */
/* Close the descriptor and drop both boxes. Harmless on a closed or zeroed stream. */
void stream_close(struct stream *s);
/* Give the descriptor away (upgrade, adoption): stops watching, returns it, leaves `in` to the
 * caller (take its bytes before stream_close()). Unsent output must be empty. */
int stream_detach(struct stream *s);
struct transport *stream_detach_over(struct stream *s);

/* Append and try to send now. False: above STREAM_HIGH (the bytes are taken all the same), or dead.
 * More than out_max in the box kills the stream with ENOBUFS: a caller that ignores false. */
bool stream_write(struct stream *s, struct str data);
/* As above for several parts in one writev(2): a head and its body leave in one packet. */
bool stream_writev(struct stream *s, const struct str *parts, size_t count);
/* Send up to `len` bytes of the file from where it stands, without a copy. Returns how many; 0:
 * none now, on_drain comes (or on_fail). -1 with errno: the file cannot be read; EINVAL: not in
 * this way (never over a transport); 0: it has ended. SIGPIPE must be ignored. */
ssize_t stream_send_file(struct stream *s, int fd, size_t len);
/* Past our memory: a long run of bytes goes from one socket to another through a pipe, by
 * splice(2).
 *
 * While is_pulled, what comes is left in the socket: on_data says that there is some (or the end),
 * and stream_pull() moves at most `len` bytes of it into an empty pipe; `in` must be empty. 0: none
 * now (on_data comes), or the end: look at eof. stream_push() moves bytes of a pipe that holds
 * `len` of them into the socket, behind what was written; 0: no room now, on_drain comes. Failures
 * are told by on_fail. SIGPIPE must be ignored. Never over a transport. */
void stream_set_pulled(struct stream *s, bool is_pulled);
size_t stream_pull(struct stream *s, int pipe_fd, size_t len);
size_t stream_push(struct stream *s, int pipe_fd, size_t len);
size_t stream_unsent(const struct stream *s);
/* Half-close: after what is in `out` the peer sees the end. A pipe is closed for that; a terminal
 * has no such thing (write its end-of-file character). Later writes return false. */
void stream_end(struct stream *s);

/* Drop bytes from the front of `in`; reading resumes if it had stopped. */
void stream_consume(struct stream *s, size_t len);
/* A transfer has ended and silence may follow: an empty in-box gives its memory back. */
void stream_rest(struct stream *s);
/* Stop and start reading by hand (backpressure from further on). Starting with bytes in `in`
 * schedules on_data once. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Private to http/: bodies on the wire, the same for server and client. `struct body` takes one out
 * of a stream's in-box, `struct outbox` gathers small writes, `struct sink` frames what is sent. */
#ifndef HTTP_BODY_INTERNAL_H
#define HTTP_BODY_INTERNAL_H

#include "http/head.h"
#include "io/stream.h"

enum {
    HTTP_IN_MAX = 64 << 10, /* in-box of a connection: what a slow consumer holds */
    HOLD_MAX = 8 << 10,     /* small writes gathered until the end of the turn */
};

/* Incoming. */
struct body {
    enum http_framing framing;
    uint64_t left; /* of HTTP_LENGTH */
    struct http_chunks chunks;
    struct buf trailers; /* of HTTP_CHUNKED: the lines behind the last chunk, checked */
    bool is_done;
};

/* `b` is zeroed or was used; it must stay where it is. */
void body_init(struct body *b, const struct http_head *h);
void body_done(struct body *b);
/* As http_chunks_next(), for any framing: -1 malformed, else how many bytes of `in` are used up,
 * with *data at their end. HTTP_UNTIL_CLOSE is never done by itself. */
ssize_t body_next(struct body *b, struct str in, struct str *data);
/* The last `len` bytes of *data were not taken and will be shown again. */
void body_give_back(struct body *b, size_t len);
/* Drop what is in the in-box. Returns payload bytes dropped, -1 malformed. */
ssize_t body_skip(struct body *b, struct stream *s);

/* Outgoing: small parts wait for company until the end of the turn, so that a head, a message and
 * the end of a body share a packet. Memory is held only while something waits. */
struct outbox {
    struct stream *stream;
    struct buf hold;
    uint64_t total; /* bytes ever put in */
};

void outbox_init(struct outbox *o, struct stream *s);
void outbox_done(struct outbox *o);
/* False as stream_write(): above STREAM_HIGH. The caller flushes at the end of the turn. */
bool outbox_put(struct outbox *o, const struct str *parts, size_t count);
/* Send now, in one writev with what waits. At most OUTBOX_PARTS parts. */
bool outbox_send(struct outbox *o, const struct str *parts, size_t count);
void outbox_flush(struct outbox *o);
size_t outbox_unsent(const struct outbox *o);

enum { OUTBOX_PARTS = 4 };

struct sink {
    enum http_framing framing;
    uint64_t left; /* of HTTP_LENGTH */
};

/* Frame and put. Bytes beyond the announced length, or of a message without body, are dropped. */
bool sink_write(struct sink *k, struct outbox *o, struct str data);
/* `trailers` are whole lines, sent where the framing has a place for them. -1: fewer bytes were
 * written than announced. */
int sink_end(struct sink *k, struct outbox *o, struct str trailers);

/* A long body of known length that goes from a socket to another, or to a file, through a pipe: see
 * bypass.c. */
struct bypass {
    struct stream *to; /* NULL and */
    int file;          /* 0: not asked for, or over */
    bool is_refused;   /* the file does not take it */
    struct outbox *out;
    struct sink *sink;
    struct loop_pipe pipe; /* none until it has begun */
    size_t held;           /* bytes in it */
    moved_fn *on_moved;
    void *ctx;
};

enum bypass_state {
    BYPASS_OFF,     /* bytes go their usual way: too few, or the end was reached (is_done) */
    BYPASS_WAITS,   /* for the source; its eof is the caller's to judge */
    BYPASS_BLOCKED, /* the source is paused until the sink's on_drain */
};

static inline bool bypass_is_wanted(const struct bypass *k)
{
    return k->to != NULL || k->file != 0;
}

/* Instead of looking at the in-box, which must be consumed as far as it is in use. */
enum bypass_state bypass_run(struct bypass *k, struct stream *from, struct body *b);
/* Back to the usual way; what the pipe held is lost. Does not look at `to`. */
void bypass_end(struct bypass *k, struct stream *from);

/* Fields that describe the connection or the framing: never taken from callers. */
bool http_is_ours(struct str name);
/* All of `fields` except those; a broken one sets out->failed. */
void http_put_fields(struct buf *out, const struct http_field *fields, size_t count);
/* May this in-box hold a whole head? Looks at the bytes behind `seen` only, so that a head that
 * comes byte by byte is not parsed each time. */
bool http_is_head_likely(struct str in, size_t seen);

#endif

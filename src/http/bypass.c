/* SPDX-License-Identifier: Apache-2.0 */
/* Long bodies of known length on their way past our memory: through a proxy, or into a file. Called
 * by client.c and exchange.c for each turn of such a body; who has it asks with http_conn_splice(),
 * exchange_splice() or exchange_splice_file(). */
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>

#include "http/client_internal.h"
#include "http/server_internal.h"

enum {
    BYPASS_MIN = 256 << 10, /* below that two pipes' worth of system calls gain nothing */
    BYPASS_ROUNDS = 8,      /* then the others have their turn */
    FILE_RUN = 192 << 10,   /* written at once: a file system has large pages for it */
};

/* NULL: it is a file. */
static struct stream *sink_of(const struct bypass *k)
{
#ifdef IO_WITHOUT_TRANSPORT /* envd is no proxy, and has no room to be one */
    ignore(k->file);
    return NULL;
#else
    return k->to;
#endif
}

/* Not again for this body. */
static void give_up(struct bypass *k)
{
    k->to = NULL;
    k->file = 0;
}

/* From now on we are woken when `len` bytes are there, or the end; a socket that does not know this
 * wakes us more often. */
static void await_bytes(const struct stream *from, int len)
{
    ignore(setsockopt(from->fd, SOL_SOCKET, SO_RCVLOWAT, &len, sizeof(len)));
}

static bool begin(struct bypass *k, struct stream *from, const struct body *b)
{
    const struct stream *to = sink_of(k);
    struct err err;

    if (b->framing != HTTP_LENGTH || b->left < BYPASS_MIN || from->in.len > 0)
        return false;
    if (to != NULL && (k->sink->framing != HTTP_LENGTH || b->left != k->sink->left))
        return false;
    if (stream_over(from) != NULL || (to != NULL && stream_over(to) != NULL) ||
        loop_take_pipe(from->loop, &k->pipe, &err) != 0) {
        give_up(k); /* no socket to splice with, or out of descriptors: copying needs none */
        return false;
    }
    if (to != NULL)
        outbox_flush(k->out);
    else
        await_bytes(from, FILE_RUN);
    stream_rest(from);
    stream_set_pulled(from, true);
    return true;
}

void bypass_end(struct bypass *k, struct stream *from)
{
    bool is_file = sink_of(k) == NULL;

    give_up(k);
    if (k->pipe.to == 0)
        return;
    if (is_file)
        await_bytes(from, 1);
    loop_give_pipe(from->loop, &k->pipe, k->held == 0);
    k->held = 0;
    stream_set_pulled(from, false);
    stream_resume(from);
}

/* Some of what the pipe holds; 0: none now. */
static size_t push(struct bypass *k)
{
    ssize_t put;

    if (sink_of(k) != NULL) {
        size_t sent = stream_push(sink_of(k), k->pipe.from, k->held);

        k->sink->left -= sent;
        k->out->total += sent;
        return sent;
    }
    put = k->is_refused ? 0 : splice(k->pipe.from, NULL, k->file, NULL, k->held, SPLICE_F_MOVE);
    k->is_refused = put <= 0;
    return put > 0 ? (size_t)put : 0;
}

static bool push_held(struct bypass *k)
{
    while (k->held > 0) {
        size_t sent = push(k);

        if (sent == 0)
            return false;
        k->held -= sent;
        k->on_moved(k->ctx, sent);
    }
    return true;
}

/* The file does not take it: full, or it cannot be spliced to. Its consumer shall find out by
 * itself, so it gets what is in the pipe, in pieces that fit into the in-box. */
static void unpipe(struct bypass *k, struct stream *from, struct body *b)
{
    size_t size = k->held < HTTP_IN_MAX ? k->held : HTTP_IN_MAX;
    char *room = buf_room(&from->in, size);
    ssize_t got = room == NULL ? -1 : read(k->pipe.from, room, size);

    if (got > 0) {
        buf_fill(&from->in, (size_t)got);
        k->held -= (size_t)got;
        b->left += (size_t)got;
    } else {
        from->eof = true; /* no memory: the body will never be complete */
    }
    if (k->held == 0)
        bypass_end(k, from);
}

enum bypass_state bypass_run(struct bypass *k, struct stream *from, struct body *b)
{
    if (!bypass_is_wanted(k) || from->in.len > 0 || (k->pipe.to == 0 && !begin(k, from, b)))
        return BYPASS_OFF;
    stream_resume(from); /* it was paused if the sink was full */
    for (int i = 0; i < BYPASS_ROUNDS; i++) {
        if (k->held == 0) {
            k->held = stream_pull(from, k->pipe.to,
                                  b->left < LOOP_PIPE_SIZE ? (size_t)b->left : LOOP_PIPE_SIZE);
            b->left -= k->held;
            if (sink_of(k) == NULL && b->left < FILE_RUN)
                await_bytes(from, 1); /* so many do not come any more */
            if (k->held == 0)
                return BYPASS_WAITS;
        }
        if (!push_held(k) && k->is_refused) {
            unpipe(k, from, b);
            return BYPASS_OFF;
        }
        if (k->held > 0) {
            stream_pause(from);
            k->on_moved(k->ctx, 0);
            return BYPASS_BLOCKED;
        }
        if (b->left == 0) {
            b->is_done = true;
            bypass_end(k, from);
            return BYPASS_OFF;
        }
    }
    return BYPASS_WAITS; /* what is in the socket is told again */
}

void http_conn_splice(struct http_conn *c, struct exchange *x, moved_fn *on_moved, void *ctx)
{
    if (c->state == CONN_BODY && !x->is_over)
        c->bypass = (struct bypass){.to = &x->session->stream,
                                    .out = &x->session->out,
                                    .sink = &x->sink,
                                    .on_moved = on_moved,
                                    .ctx = ctx};
}

void exchange_splice(struct exchange *x, struct http_conn *c, moved_fn *on_moved, void *ctx)
{
    if (c->state < CONN_SPENT && !x->is_over && !bypass_is_wanted(&x->bypass))
        x->bypass = (struct bypass){
            .to = &c->stream, .out = &c->out, .sink = &c->sink, .on_moved = on_moved, .ctx = ctx};
}

void exchange_splice_file(struct exchange *x, int fd, moved_fn *on_moved, void *ctx)
{
    if (!x->is_over && !bypass_is_wanted(&x->bypass))
        x->bypass = (struct bypass){.file = fd, .on_moved = on_moved, .ctx = ctx};
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Long bodies of known length on their way through a proxy, past our memory. Called by client.c and
 * exchange.c for each turn of such a body; the proxy asks for it with http_conn_splice() and
 * exchange_splice(). */
#include "http/client_internal.h"
#include "http/server_internal.h"

enum {
    BYPASS_MIN = 256 << 10, /* below that two pipes' worth of system calls gain nothing */
    BYPASS_RUN = 64 << 10,  /* what a pipe holds */
    BYPASS_ROUNDS = 8,      /* then the others have their turn */
};

static bool begin(struct bypass *k, struct stream *from, const struct body *b)
{
    struct err err;

    if (b->framing != HTTP_LENGTH || k->sink->framing != HTTP_LENGTH || b->left < BYPASS_MIN ||
        b->left != k->sink->left || from->in.len > 0)
        return false;
    if (stream_over(from) != NULL || stream_over(k->to) != NULL) {
        k->to = NULL; /* there is no socket to splice with */
        return false;
    }
    if (loop_take_pipe(from->loop, &k->pipe, &err) != 0) {
        k->to = NULL; /* out of descriptors: copying needs none */
        return false;
    }
    outbox_flush(k->out);
    stream_rest(from);
    stream_set_pulled(from, true);
    return true;
}

void bypass_end(struct bypass *k, struct stream *from)
{
    k->to = NULL;
    if (k->pipe.to == 0)
        return;
    loop_give_pipe(from->loop, &k->pipe, k->held == 0);
    k->held = 0;
    stream_set_pulled(from, false);
    stream_resume(from);
}

static bool push_held(struct bypass *k)
{
    while (k->held > 0) {
        size_t sent = stream_push(k->to, k->pipe.from, k->held);

        if (sent == 0)
            return false;
        k->held -= sent;
        k->sink->left -= sent;
        k->out->total += sent;
        k->on_moved(k->ctx, sent);
    }
    return true;
}

enum bypass_state bypass_run(struct bypass *k, struct stream *from, struct body *b)
{
    if (k->to == NULL || (k->pipe.to == 0 && !begin(k, from, b)))
        return BYPASS_OFF;
    stream_resume(from); /* it was paused if the sink was full */
    for (int i = 0; i < BYPASS_ROUNDS; i++) {
        if (k->held == 0) {
            k->held =
                stream_pull(from, k->pipe.to, b->left < BYPASS_RUN ? (size_t)b->left : BYPASS_RUN);
            b->left -= k->held;
            if (k->held == 0)
                return BYPASS_WAITS;
        }
        if (!push_held(k)) {
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
    if (c->state < CONN_SPENT && !x->is_over && x->bypass.to == NULL)
        x->bypass = (struct bypass){
            .to = &c->stream, .out = &c->out, .sink = &c->sink, .on_moved = on_moved, .ctx = ctx};
}

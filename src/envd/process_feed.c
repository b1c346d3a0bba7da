/* SPDX-License-Identifier: Apache-2.0 */
/* process.Process/SendInput and StreamInput: bytes for a process. A call is answered when its last
 * byte is in the pipe, so that a client that waits is slowed to the program's pace; the body of a
 * stream is not read on while a message of it waits, so a stalled program costs one message.
 *
 * Bytes that were accepted are written even if the client leaves: then the owner of the wait stays
 * behind until they are. */
#include "envd/guest.h"
#include "envd/handlers.h"

static const struct empty nothing = {0};

/* A SendInput whose bytes are not all written yet. It keeps the request. */
struct send_call {
    struct input_wait wait;
    struct rpc_peer peer; /* .x NULL: the client left */
    struct arena arena;
};

static void send_done(void *ctx, const struct err *err)
{
    struct send_call *c = ctx;

    if (c->peer.x != NULL)
        exchange_on_gone(c->peer.x, NULL, NULL);
    if (c->peer.x != NULL && err != NULL)
        rpc_fail_err(c->peer, err);
    else if (c->peer.x != NULL)
        rpc_reply(c->peer, &empty_message, &nothing);
    arena_done(&c->arena);
    free(c);
}

static void send_gone(void *ctx, struct exchange *x)
{
    struct send_call *c = ctx;

    (void)x;
    c->peer.x = NULL;
}

static int send_later(struct rpc_call *call, struct process *p, struct str rest, struct err *err)
{
    struct send_call *c;

    if (rest.len > INPUT_MAX - p->input.waiting && p->input.waiting > 0)
        return err_set(err, ERR_LIMIT, "too much input is waiting for the process to read");
    c = calloc(1, sizeof(*c));
    if (c == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    c->wait = (struct input_wait){.data = rest, .fn = send_done, .ctx = c};
    if (input_wait(p, &c->wait, err) != 0) {
        free(c);
        return -1;
    }
    c->peer = call->peer;
    c->arena = call->arena;
    arena_init(&call->arena, RPC_ARENA_MAX);
    exchange_on_gone(call->peer.x, send_gone, c);
    return 0;
}

void process_send_input_rpc(struct rpc_call *call)
{
    const struct send_input_request *in = call->in;
    struct process *p = process_of_call(call, in->process, false);
    enum connect_code code;
    const char *why;
    struct str data;
    ssize_t written;
    struct err err;

    if (p == NULL)
        return;
    data = input_bytes(p, in->input, &code, &why);
    if (why != NULL) {
        rpc_fail(call->peer, code, "%s", why);
        return;
    }
    written = input_write(p, data, &err);
    if (written == (ssize_t)data.len)
        rpc_reply(call->peer, &empty_message, &nothing);
    else if (written < 0 || send_later(call, p, str_from(data, (size_t)written), &err) != 0)
        rpc_fail_err(call->peer, &err);
}

/* An open StreamInput. */
struct feed {
    struct list_node node; /* among the feeds of `process`, while there is one */
    struct process *process;
    bool has_process; /* one was named; it may have ended since */
    bool is_waiting;  /* a message is not all written */
    bool is_complete; /* the body was read to its end */
    struct guest *guest;
    struct rpc_peer peer; /* .x NULL: the call is over, the last message is not */
    struct buf gathered;  /* an envelope whose rest is to come */
    struct arena arena;   /* the message that is being written */
    struct input_wait wait;
    struct timer deadline;
};

static void feed_free(struct feed *f)
{
    list_remove(&f->node);
    timer_stop(&f->deadline);
    buf_done(&f->gathered);
    arena_done(&f->arena);
    free(f);
}

/* The call is over; true: so is the feed. */
static bool feed_leave(struct feed *f)
{
    timer_stop(&f->deadline);
    if (f->peer.x != NULL)
        exchange_on_gone(f->peer.x, NULL, NULL);
    f->peer.x = NULL;
    if (f->is_waiting)
        return false;
    feed_free(f);
    return true;
}

static void feed_fail(struct feed *f, enum connect_code code, const char *why)
{
    struct rpc_peer peer = f->peer;

    ignore(feed_leave(f)); /* otherwise its last message ends it */
    rpc_fail(peer, code, "%s", why);
}

static void feed_answer(struct feed *f)
{
    struct rpc_peer peer = f->peer;
    struct buf out;

    ignore(feed_leave(f)); /* nothing waits */
    buf_init(&out, 256);
    rpc_envelope(peer.form, &empty_message, &nothing, &out);
    envelope_end(&out, CONNECT_OK, (struct str){NULL, 0});
    rpc_stream_open(peer);
    exchange_write(peer.x, buf_str(&out));
    exchange_end(peer.x);
    buf_done(&out);
}

static void feed_written(void *ctx, const struct err *err)
{
    struct feed *f = ctx;

    f->is_waiting = false;
    arena_done(&f->arena);
    if (f->peer.x == NULL)
        feed_free(f);
    else if (err != NULL)
        feed_fail(f, CONNECT_INTERNAL, err->text);
    else if (f->is_complete)
        feed_answer(f);
    else
        exchange_resume(f->peer.x);
}

static void feed_gone(void *ctx, struct exchange *x)
{
    struct feed *f = ctx;

    (void)x;
    f->peer.x = NULL;
    ignore(feed_leave(f)); /* otherwise its last message ends it */
}

static void feed_expired(void *ctx)
{
    feed_fail(ctx, CONNECT_DEADLINE_EXCEEDED, "the deadline of the call was exceeded");
}

void input_leave(struct process *p)
{
    struct list_node *n;

    input_close(p);
    while ((n = list_pop(&p->input.feeds)) != NULL)
        container_of(n, struct feed, node)->process = NULL;
}

/* Which process: the first message, and any later one of its kind. */
static int feed_choose(struct feed *f, const struct selector_request *r,
                       enum connect_code *out_code, struct err *err)
{
    const struct selector *s = r == NULL ? NULL : r->process;
    struct process *p = process_lookup(&f->guest->processes, s, false, out_code, err);

    if (p == NULL)
        return -1;
    list_remove(&f->node);
    list_push(&p->input.feeds, &f->node);
    f->process = p;
    f->has_process = true;
    return 0;
}

static int feed_data(struct feed *f, const struct stream_input_data *d, enum connect_code *out_code,
                     struct err *err)
{
    struct process *p = f->process;
    const char *why;
    struct str data;
    ssize_t written;

    *out_code = CONNECT_INVALID_ARGUMENT;
    if (!f->has_process)
        return err_set(err, ERR_INVALID, "the first message has to be start");
    *out_code = CONNECT_INTERNAL;
    if (p == NULL)
        return err_set(err, ERR_SYSTEM, "error writing to stdin: the process has ended");
    data = input_bytes(p, d == NULL ? NULL : d->input, out_code, &why);
    if (why != NULL)
        return err_set(err, ERR_INVALID, "%s", why);
    written = input_write(p, data, err);
    if (written < 0)
        return -1;
    if (written == (ssize_t)data.len)
        return 0;
    f->wait =
        (struct input_wait){.data = str_from(data, (size_t)written), .fn = feed_written, .ctx = f};
    *out_code = CONNECT_RESOURCE_EXHAUSTED;
    if (input_wait(p, &f->wait, err) != 0)
        return -1;
    f->is_waiting = true;
    return 0;
}

/* False: the call has been answered. */
static bool feed_message(struct feed *f, struct str message)
{
    struct stream_input_request in = {0};
    enum connect_code code = CONNECT_INVALID_ARGUMENT;
    struct err err;
    int rc = rpc_decode(f->peer.form, &stream_input_request_message, message, &f->arena, &in, &err);

    if (rc == 0 && in.which == STREAM_INPUT_START) {
        rc = feed_choose(f, in.start, &code, &err);
    } else if (rc == 0 && in.which == STREAM_INPUT_DATA) {
        rc = feed_data(f, in.data, &code, &err);
    } else if (rc == 0 && in.which != STREAM_INPUT_KEEPALIVE) {
        code = CONNECT_UNIMPLEMENTED;
        rc = err_set(&err, ERR_INVALID, "invalid event type: neither start, data nor keepalive");
    }
    if (!f->is_waiting)
        arena_done(&f->arena);
    if (rc != 0)
        feed_fail(f, code, err.text);
    return rc == 0;
}

/* Take one envelope, or what there is of it. -1: the call has been answered. */
static ssize_t feed_take(struct feed *f, struct str data)
{
    struct envelope e;
    ssize_t taken = envelope_gather(&f->gathered, data, RPC_BODY_MAX, &e);

    if (taken < 0) {
        feed_fail(f, CONNECT_RESOURCE_EXHAUSTED,
                  "message is compressed, too large or memory is out");
        return -1;
    }
    if (!e.is_whole)
        return taken;
    if ((e.flags & ENVELOPE_END) != 0) {
        feed_fail(f, CONNECT_INVALID_ARGUMENT,
                  "a request does not end with an end-of-stream message");
        return -1;
    }
    if (!feed_message(f, e.payload))
        return -1;
    buf_done(&f->gathered);
    return taken;
}

static size_t feed_body(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct feed *f = ctx;
    size_t len = data.len;
    size_t used = 0;

    (void)x;
    if (is_last && f->gathered.len > 0) {
        feed_fail(f, CONNECT_INVALID_ARGUMENT, "the request ends within a message");
        return 0;
    }
    if (is_last) {
        f->is_complete = true;
        if (!f->is_waiting)
            feed_answer(f);
        return 0;
    }
    while (used < len && !f->is_waiting) {
        ssize_t taken = feed_take(f, str_from(data, used));

        if (taken < 0)
            return len; /* answered: what follows does not matter */
        used += (size_t)taken;
    }
    return used;
}

void process_stream_input(struct guest *g, struct exchange *x)
{
    uint64_t timeout_ms = rpc_timeout_ms(x);
    enum connect_form form;
    struct feed *f;

    if (!rpc_stream_form(x, &form))
        return;
    f = calloc(1, sizeof(*f));
    if (f == NULL) {
        rpc_fail((struct rpc_peer){x, form}, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    f->guest = g;
    f->peer = (struct rpc_peer){x, form};
    arena_init(&f->arena, RPC_ARENA_MAX);
    buf_init(&f->gathered, RPC_BODY_MAX + ENVELOPE_HEAD);
    exchange_on_gone(x, feed_gone, f);
    exchange_on_body(x, feed_body, f);
    if (timeout_ms > 0)
        timer_start(g->loop, &f->deadline, timeout_ms, feed_expired, f);
}

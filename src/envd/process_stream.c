/* SPDX-License-Identifier: Apache-2.0 */
/* Subscribers: the open streams of Start and Connect. See process.h for who waits for whom. */
#include <stdio.h>

#include "envd/process.h"

enum {
    NUMBER_MAX = 24,      /* characters of a 64 bit number, and its end */
    FRAME_MAX = 256 << 10 /* a message of OUTPUT_CHUNK bytes, each escaped */
};

struct subscriber {
    struct list_node node;
    struct process *process;
    struct rpc_peer peer;
    struct timer keepalive, deadline;
    uint64_t keepalive_ms;
    uint64_t sent_at_ms;    /* when the last message left */
    uint64_t blocked_at_ms; /* since when it is behind; 0: it is not */
    bool is_replaying;      /* hears what was before; what comes meanwhile it finds in the ring */
    struct replay_cursor cursor;
};

/* One event in the encodings that subscribers ask for, each made when it is first needed. */
struct frames {
    const struct process_event *event;
    bool is_last;                        /* the end of the stream follows in the same write */
    struct buf made[CONNECT_EVENTS + 1]; /* by form */
};

static void frames_init(struct frames *f, const struct process_event *event, bool is_last)
{
    f->event = event;
    f->is_last = is_last;
    for (size_t i = 0; i < COUNT_OF(f->made); i++)
        buf_init(&f->made[i], FRAME_MAX);
}

static void frames_done(struct frames *f)
{
    for (size_t i = 0; i < COUNT_OF(f->made); i++)
        buf_done(&f->made[i]);
}

/* Empty when memory is out. */
static struct str frames_get(struct frames *f, enum connect_form form)
{
    struct buf *frame = &f->made[form];
    struct process_event event = *f->event;
    const struct event_response response = {&event};

    if (frame->len > 0)
        return buf_str(frame);
    rpc_envelope(form, &event_response_message, &response, frame);
    if (f->is_last && form < CONNECT_OTHER)
        envelope_end(frame, CONNECT_OK, (struct str){NULL, 0});
    return buf_ok(frame) ? buf_str(frame) : (struct str){NULL, 0};
}

static struct subscriber *of_node(struct list_node *n)
{
    return container_of(n, struct subscriber, node);
}

struct subscriber *subscriber_new(struct process *p)
{
    struct subscriber *s;

    if (p->subscriber_count >= SUBSCRIBERS_MAX)
        return NULL;
    s = calloc(1, sizeof(*s));
    if (s != NULL)
        s->process = p;
    return s;
}

/* Who is behind decides whether the process is read; look again after any change. */
static void set_pace(struct process *p);

static void leave(struct subscriber *s)
{
    timer_stop(&s->keepalive);
    timer_stop(&s->deadline);
    if (!list_linked(&s->node))
        return;
    list_remove(&s->node);
    s->process->subscriber_count--;
}

void subscriber_free(struct subscriber *s)
{
    if (s == NULL)
        return;
    leave(s);
    free(s);
}

static void gone(void *ctx, struct exchange *x)
{
    struct subscriber *s = ctx;
    struct process *p = s->process;

    (void)x;
    subscriber_free(s);
    set_pace(p);
}

static void cut_off(struct subscriber *s)
{
    struct exchange *x = s->peer.x;

    exchange_on_gone(x, NULL, NULL);
    subscriber_free(s);
    exchange_abort(x);
}

void process_drop_subscribers(struct process *p)
{
    struct list_node *n;

    while ((n = list_first(&p->subscribers)) != NULL)
        cut_off(of_node(n));
}

/* Somebody has been behind for too long? */
static void stall_check(void *ctx)
{
    struct process *p = ctx;
    uint64_t now = loop_now_ms(p->table->loop);
    struct list_node *next;
    size_t behind = 0;
    uint64_t limit;

    for (struct list_node *n = list_first(&p->subscribers); n; n = list_next(&p->subscribers, n))
        behind += of_node(n)->blocked_at_ms != 0;
    limit = behind < p->subscriber_count ? SUBSCRIBER_LAG_MS : SUBSCRIBER_STALL_MS;
    for (struct list_node *n = list_first(&p->subscribers); n != NULL; n = next) {
        struct subscriber *s = of_node(n);

        next = list_next(&p->subscribers, n);
        if (s->blocked_at_ms != 0 && now - s->blocked_at_ms >= limit)
            cut_off(s);
    }
    set_pace(p);
}

static void set_pace(struct process *p)
{
    size_t behind = 0;

    if (p->is_ended)
        return;
    for (struct list_node *n = list_first(&p->subscribers); n; n = list_next(&p->subscribers, n))
        behind += of_node(n)->blocked_at_ms != 0;
    if (behind == 0) {
        timer_stop(&p->stall);
        process_resume(p);
        return;
    }
    process_pause(p);
    if (!timer_running(&p->stall))
        timer_start(p->table->loop, &p->stall, SUBSCRIBER_LAG_MS, stall_check, p);
}

static void send(struct subscriber *s, struct str frame)
{
    uint64_t now = loop_now_ms(s->process->table->loop);

    s->sent_at_ms = now;
    if (!exchange_write(s->peer.x, frame) && s->blocked_at_ms == 0)
        s->blocked_at_ms = now;
}

/* The last event, and the end of the stream. The subscriber is gone afterwards. */
static void finish(struct subscriber *s, struct str frame)
{
    struct exchange *x = s->peer.x;

    exchange_on_gone(x, NULL, NULL);
    exchange_on_drain(x, NULL, NULL);
    subscriber_free(s);
    if (frame.len == 0) {
        exchange_abort(x);
        return;
    }
    exchange_write(x, frame);
    exchange_end(x);
}

static void finish_ended(struct subscriber *s)
{
    struct end_event end;
    struct process_event event = {.which = EVENT_END, .end = &end};
    struct frames f;

    process_end_event(s->process, &end);
    frames_init(&f, &event, true);
    finish(s, frames_get(&f, s->peer.form));
    frames_done(&f);
}

/* One piece of the ring. False: it was overwritten, or memory is out. */
static bool replay_piece(struct subscriber *s)
{
    auto_free char *piece = malloc(REPLAY_PIECE);
    struct data_event chunk = {0};
    struct process_event event = {.which = EVENT_DATA, .data = &chunk};
    enum data_kind kind = DATA_NONE;
    ssize_t got = piece == NULL ? -1 : replay_next(&s->process->replay, &s->cursor, piece, &kind);
    struct frames f;
    struct str frame;

    s->is_replaying = got > 0;
    if (got <= 0)
        return got == 0;
    chunk.which = kind;
    chunk.stdout_bytes = chunk.stderr_bytes = chunk.pty_bytes = (struct str){piece, (size_t)got};
    frames_init(&f, &event, false);
    frame = frames_get(&f, s->peer.form);
    if (frame.len > 0)
        send(s, frame);
    frames_done(&f);
    return frame.len > 0;
}

/* As much of the replay as the peer takes; then it is a subscriber like others. */
static void replay_on(struct subscriber *s)
{
    struct process *p = s->process;
    bool is_whole = true;

    while (is_whole && s->is_replaying && s->blocked_at_ms == 0)
        is_whole = replay_piece(s);
    if (!is_whole)
        cut_off(s); /* better a broken stream than one with a hole */
    else if (!s->is_replaying && p->is_ended)
        finish_ended(s);
    set_pace(p);
}

static void drained(void *ctx, struct exchange *x)
{
    struct subscriber *s = ctx;

    (void)x;
    s->blocked_at_ms = 0;
    if (s->is_replaying)
        replay_on(s);
    else
        set_pace(s->process);
}

static void keepalive_due(void *ctx)
{
    struct subscriber *s = ctx;
    struct loop *loop = s->process->table->loop;
    struct empty nothing = {0};
    struct process_event event = {.which = EVENT_KEEPALIVE, .keepalive = &nothing};
    uint64_t silent_ms = loop_now_ms(loop) - s->sent_at_ms;
    struct frames f;

    if (silent_ms >= s->keepalive_ms && s->blocked_at_ms == 0) {
        frames_init(&f, &event, false);
        send(s, frames_get(&f, s->peer.form));
        frames_done(&f);
        silent_ms = 0;
    }
    if (silent_ms >= s->keepalive_ms)
        silent_ms = 0; /* it is behind: nothing to keep alive */
    timer_start(loop, &s->keepalive, s->keepalive_ms - silent_ms, keepalive_due, s);
}

static void deadline_reached(void *ctx)
{
    struct subscriber *s = ctx;
    struct process *p = s->process;
    struct rpc_peer peer = s->peer;

    exchange_on_gone(peer.x, NULL, NULL);
    exchange_on_drain(peer.x, NULL, NULL);
    subscriber_free(s);
    rpc_stream_end(peer, CONNECT_DEADLINE_EXCEEDED, "the deadline of the call was exceeded");
    set_pace(p);
}

static void start(struct subscriber *s, const struct rpc_call *call,
                  const struct http_field *fields, size_t field_count)
{
    struct process *p = s->process;
    struct loop *loop = p->table->loop;
    struct start_event start = {.pid = (uint32_t)p->pid, .serial = p->serial};
    struct process_event event = {.which = EVENT_START, .start = &start};
    struct frames f;

    s->peer = call->peer;
    s->keepalive_ms = call->keepalive_ms;
    list_push(&p->subscribers, &s->node);
    p->subscriber_count++;
    exchange_on_gone(s->peer.x, gone, s);
    exchange_on_drain(s->peer.x, drained, s);
    rpc_stream_open_with(s->peer, fields, field_count);
    frames_init(&f, &event, false);
    send(s, frames_get(&f, s->peer.form));
    frames_done(&f);
    timer_start(loop, &s->keepalive, s->keepalive_ms, keepalive_due, s);
    if (call->timeout_ms > 0 && call->peer.form < CONNECT_OTHER) /* others hear the exit */
        timer_start(loop, &s->deadline, call->timeout_ms, deadline_reached, s);
}

void subscriber_start(struct subscriber *s, const struct rpc_call *call)
{
    start(s, call, NULL, 0);
}

static struct str number_text(uint64_t number, char out[NUMBER_MAX])
{
    int len = snprintf(out, NUMBER_MAX, "%llu", (unsigned long long)number);

    return (struct str){out, (size_t)len};
}

void subscriber_replay(struct subscriber *s, const struct rpc_call *call, uint64_t offset)
{
    char begin[NUMBER_MAX], gap[NUMBER_MAX];
    struct http_field fields[2];

    s->is_replaying = replay_seek(&s->process->replay, offset, &s->cursor);
    fields[0] = (struct http_field){STR("X-Replay-Offset"), number_text(s->cursor.offset, begin)};
    fields[1] =
        (struct http_field){STR("X-Replay-Gap"), number_text(s->cursor.offset - offset, gap)};
    start(s, call, fields, s->cursor.offset > offset ? 2 : 1);
    replay_on(s);
}

void process_publish(struct process *p, const struct process_event *event)
{
    struct list_node *next;
    struct frames f;

    frames_init(&f, event, false);
    for (struct list_node *n = list_first(&p->subscribers); n != NULL; n = next) {
        struct subscriber *s = of_node(n);
        struct str frame;

        next = list_next(&p->subscribers, n);
        if (s->is_replaying)
            continue;
        frame = frames_get(&f, s->peer.form);
        if (frame.len > 0)
            send(s, frame);
        else
            cut_off(s); /* no memory: better a broken stream than one with a hole */
    }
    frames_done(&f);
    set_pace(p);
}

void process_publish_end(struct process *p, const struct process_event *event)
{
    struct list_node *next;
    struct frames f;

    frames_init(&f, event, true);
    for (struct list_node *n = list_first(&p->subscribers); n != NULL; n = next) {
        struct subscriber *s = of_node(n);

        next = list_next(&p->subscribers, n);
        if (!s->is_replaying) /* who is not there yet comes to it: replay_on() */
            finish(s, frames_get(&f, s->peer.form));
    }
    frames_done(&f);
}

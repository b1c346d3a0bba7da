/* SPDX-License-Identifier: Apache-2.0 */
/* From what happened to messages for a client; watch_rpc.c is the user. */
#include "envd/watcher.h"

#include <stdio.h>

#include "base/id.h"
#include "envd/entry.h"

enum {
    MESSAGE_MAX = 256 << 10, /* one event with its entry: three paths, escaped */
    PIECE = 64 << 10,        /* bytes given to the exchange in one go */
};

enum watch_message { /* the members of WatchDirResponse */
                     MESSAGE_START = 1,
                     MESSAGE_EVENT = 2,
                     MESSAGE_KEEPALIVE = 3,
};

struct watcher {
    struct list_node node;
    struct watchers *table;
    struct watch_root *root; /* NULL once it failed */
    struct rpc_peer peer;    /* .x NULL: nobody waits */
    char id[WATCHER_ID_LEN + 1];
    char *path;
    bool is_stream, is_started, has_entries;
    bool is_cut;          /* its queue was dropped in the middle of a stream */
    struct buf queue;     /* a stream: what is to be sent; else records, see put_record() */
    size_t last_at;       /* where the last event is in `queue` */
    struct buf last;      /* its kind and name; empty when it may have been sent */
    struct owners owners; /* of this turn */
    enum connect_code failure;
    char failure_text[320];
    uint64_t keepalive_ms, sent_at_ms;
    bool is_blocked; /* the peer is behind */
    struct timer keepalive, deadline, stall;
    struct task settle;
};

static void settle(void *ctx);

static void settle_soon(struct watcher *w)
{
    task_defer(w->table->loop, &w->settle, settle, w);
}

static void fail(void *ctx, enum connect_code code, const char *text)
{
    struct watcher *w = ctx;

    if (w->failure != CONNECT_OK)
        return;
    w->failure = code;
    ignore(snprintf(w->failure_text, sizeof(w->failure_text), "%s", text)); /* cut is fine */
    settle_soon(w);
}

static bool is_behind(void *ctx)
{
    const struct watcher *w = ctx;

    return w->is_stream ? w->is_blocked : w->queue.len > WATCH_QUEUE_MAX / 2;
}

/* A record is four bytes of length and a WatcherEvents with one event in protobuf: such messages
 * one after another are the answer in protobuf, and each can be told in JSON as well. */
static void put_record(struct buf *out, const struct filesystem_event *event)
{
    const struct watcher_events one = {
        .events = {(struct filesystem_event *)(uintptr_t)event, 1}  /* only read */
    };
    size_t start = out->len;
    uint32_t len = 0;

    buf_add(out, &len, sizeof(len));
    proto_encode(&watcher_events_message, &one, out);
    if (!buf_ok(out))
        return;
    len = (uint32_t)(out->len - start - sizeof(len));
    memcpy(out->at + start, &len, sizeof(len));
}

static void put_event(struct watcher *w, const struct filesystem_event *event, struct buf *out)
{
    const struct watch_response response = {
        .which = MESSAGE_EVENT,
        .filesystem = (struct filesystem_event *)(uintptr_t)event, /* only read */
    };

    if (w->is_stream)
        rpc_envelope(w->peer.form, &watch_response_message, &response, out);
    else
        put_record(out, event);
}

/* The entry, when it can still be looked at. */
static struct entry_info *look(struct watcher *w, struct str name, struct arena *a,
                               struct entry_info *info)
{
    const char *slash = str_is(str_of(w->path), "/") ? "" : "/";
    char *path = str_is(name, ".") ? arena_printf(a, "%s", w->path)
                                   : arena_printf(a, "%s%s%.*s", w->path, slash, STR_ARG(name));
    struct err err;

    if (path == NULL || entry_read(str_of(path), &w->owners, a, info, &err) != 0)
        return NULL;
    return info;
}

static void encode_event(struct watcher *w, enum watch_kind kind, struct str name, struct buf *out)
{
    struct filesystem_event event = {.name = name, .type = (int32_t)kind};
    struct entry_info info;
    struct arena a;

    arena_init(&a, 64 << 10);
    if (w->has_entries && watch_kind_has_entry(kind))
        event.entry = look(w, name, &a, &info);
    put_event(w, &event, out);
    arena_done(&a);
}

/* The queue changes only through the next three, which keep count of all queues. */
static void queue_add(struct watcher *w, struct str message)
{
    w->last_at = w->queue.len;
    buf_add_str(&w->queue, message);
    w->table->queued += w->queue.len - w->last_at;
}

static void queue_cut(struct watcher *w, size_t len)
{
    w->table->queued -= w->queue.len - len;
    buf_truncate(&w->queue, len);
}

static void queue_eat(struct watcher *w, size_t len)
{
    buf_consume(&w->queue, len);
    w->table->queued -= len;
    buf_clear(&w->last);
}

static void queue_drop(struct watcher *w)
{
    queue_cut(w, 0);
    buf_done(&w->queue);
    buf_clear(&w->last);
}

/* The client does not keep up. A stream gets what waits and then learns it; who asks learns it at
 * once, so that a watcher that was forgotten holds nothing. */
static void lose(struct watcher *w)
{
    fail(w, CONNECT_DATA_LOSS, "too many events wait for the client, events were lost");
    if (!w->is_stream)
        queue_drop(w);
}

static struct watcher *longest_queue(const struct watchers *t)
{
    struct watcher *longest = NULL;

    for (struct list_node *n = list_first(&t->all); n != NULL; n = list_next(&t->all, n)) {
        struct watcher *w = container_of(n, struct watcher, node);

        if (longest == NULL || w->queue.len > longest->queue.len)
            longest = w;
    }
    return longest;
}

/* All queues together are too long: the longest goes. */
static void make_room(struct watchers *t)
{
    struct watcher *longest;

    while (t->queued > WATCH_QUEUES_MAX && (longest = longest_queue(t)) != NULL) {
        lose(longest);
        longest->is_cut = longest->is_stream;
        queue_drop(longest);
        settle_soon(longest); /* it may have failed before */
    }
}

/* Is the last event that waits the same? Then the new one takes its place. */
static bool repeats(const struct watcher *w, enum watch_kind kind, struct str name)
{
    struct str last = buf_str(&w->last);

    return watch_kind_merges(kind) && last.len > 0 && last.at[0] == (char)kind &&
           str_eq(str_from(last, 1), name);
}

static void tell(void *ctx, enum watch_kind kind, struct str name)
{
    struct watcher *w = ctx;
    struct buf message;

    if (w->failure != CONNECT_OK)
        return;
    buf_init(&message, MESSAGE_MAX);
    encode_event(w, kind, name, &message);
    if (repeats(w, kind, name))
        queue_cut(w, w->last_at);
    if (!buf_ok(&message)) {
        fail(w, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
    } else if (w->queue.len + message.len > WATCH_QUEUE_MAX) {
        lose(w);
    } else {
        queue_add(w, buf_str(&message));
        buf_clear(&w->last);
        buf_add_byte(&w->last, (char)kind);
        buf_add_str(&w->last, name);
        if (!buf_ok(&w->queue) || !buf_ok(&w->last))
            fail(w, CONNECT_RESOURCE_EXHAUSTED, "out of memory");
        make_room(w->table);
    }
    buf_done(&message);
    settle_soon(w);
}

static void watcher_free(struct watcher *w)
{
    task_cancel(&w->settle);
    timer_stop(&w->keepalive);
    timer_stop(&w->deadline);
    timer_stop(&w->stall);
    watch_root_close(w->root);
    owners_done(&w->owners);
    w->table->queued -= w->queue.len;
    buf_done(&w->queue);
    buf_done(&w->last);
    list_remove(&w->node);
    w->table->count--;
    free(w->path);
    free(w);
}

static void gone(void *ctx, struct exchange *x)
{
    (void)x;
    watcher_free(ctx);
}

static void release(struct rpc_peer peer)
{
    exchange_on_gone(peer.x, NULL, NULL);
    exchange_on_drain(peer.x, NULL, NULL);
}

/* The end of the watcher and of the call that waits for it. */
static void end(struct watcher *w, enum connect_code code, const char *text)
{
    struct rpc_peer peer = w->peer;
    bool is_open = w->is_stream && w->is_started;
    bool is_cut = w->is_cut || w->queue.len > 0; /* perhaps in the middle of a message */

    release(peer);
    if (!is_open)
        rpc_fail(peer, code, "%s", text);
    else if (is_cut)
        exchange_abort(peer.x);
    else
        rpc_stream_end(peer, code, text);
    watcher_free(w); /* last: the text may be its own */
}

static void deadline_reached(void *ctx)
{
    end(ctx, CONNECT_DEADLINE_EXCEEDED, "the deadline of the call was exceeded");
}

static void stalled(void *ctx)
{
    struct watcher *w = ctx;
    struct rpc_peer peer = w->peer;

    release(peer);
    watcher_free(w);
    exchange_abort(peer.x);
}

static void write_out(struct watcher *w, struct str data)
{
    w->sent_at_ms = loop_now_ms(w->table->loop);
    if (exchange_write(w->peer.x, data))
        return;
    w->is_blocked = true;
    timer_start(w->table->loop, &w->stall, WATCH_STALL_MS, stalled, w);
}

static void flush(struct watcher *w)
{
    while (w->queue.len > 0 && !w->is_blocked) {
        struct str piece = str_upto(buf_str(&w->queue), PIECE);

        write_out(w, piece);
        queue_eat(w, piece.len);
    }
}

/* End of a turn in which something happened. */
static void settle(void *ctx)
{
    struct watcher *w = ctx;

    owners_done(&w->owners); /* who owns what may change until the next turn */
    owners_init(&w->owners);
    if (w->is_stream && w->is_started)
        flush(w);
    if (w->failure == CONNECT_OK)
        return;
    watch_root_close(take_ptr(&w->root));
    if (w->peer.x != NULL && (!w->is_started || !buf_ok(&w->queue) || w->is_cut || !w->is_blocked))
        end(w, w->failure, w->failure_text);
}

static void drained(void *ctx, struct exchange *x)
{
    struct watcher *w = ctx;

    (void)x;
    w->is_blocked = false;
    timer_stop(&w->stall);
    if (w->root != NULL)
        watch_root_resume(w->root);
    settle_soon(w);
}

static void write_message(struct watcher *w, enum watch_message which)
{
    struct empty nothing = {0};
    const struct watch_response response = {
        .which = which, .start = &nothing, .keepalive = &nothing};
    struct buf out;

    buf_init(&out, 4096);
    rpc_envelope(w->peer.form, &watch_response_message, &response, &out);
    write_out(w, buf_str(&out));
    buf_done(&out);
}

static void keepalive_due(void *ctx)
{
    struct watcher *w = ctx;
    struct loop *loop = w->table->loop;
    uint64_t silent_ms = loop_now_ms(loop) - w->sent_at_ms;

    if (silent_ms >= w->keepalive_ms && !w->is_blocked)
        write_message(w, MESSAGE_KEEPALIVE);
    if (silent_ms >= w->keepalive_ms)
        silent_ms = 0;
    timer_start(loop, &w->keepalive, w->keepalive_ms - silent_ms, keepalive_due, w);
}

static void ready(void *ctx)
{
    struct watcher *w = ctx;
    struct rpc_peer peer = w->peer;
    const struct watcher_request answer = {.watcher_id = str_of(w->id)};

    w->is_started = true;
    if (w->is_stream) {
        rpc_stream_open(peer);
        write_message(w, MESSAGE_START);
        timer_start(w->table->loop, &w->keepalive, w->keepalive_ms, keepalive_due, w);
        return;
    }
    timer_stop(&w->deadline);
    release(peer);
    w->peer.x = NULL;
    rpc_reply(peer, &watcher_request_message, &answer);
}

static struct watcher *watcher_new(struct watchers *t, const struct rpc_call *call)
{
    struct watcher *w = calloc(1, sizeof(*w));

    if (w == NULL)
        return NULL;
    w->table = t;
    w->peer = call->peer;
    w->is_stream = call->method->is_stream;
    w->keepalive_ms = call->keepalive_ms;
    if (!w->is_stream) {
        w->id[0] = 'w';
        id_text(w->id + 1, WATCHER_ID_LEN - 1);
    }
    buf_init(&w->queue, WATCH_QUEUE_MAX);
    buf_init(&w->last, WATCH_QUEUE_MAX);
    owners_init(&w->owners);
    list_push(&t->all, &w->node);
    t->count++;
    return w;
}

int watcher_open(struct watchers *t, const struct rpc_call *call, const struct watch_target *target,
                 bool has_entries, struct err *err)
{
    static const struct watch_sink sink = {tell, ready, fail, is_behind};
    struct watcher *w;

    if (t->count == WATCHERS_MAX)
        return err_set(err, ERR_LIMIT, "more than %d watchers", WATCHERS_MAX);
    w = watcher_new(t, call);
    if (w == NULL)
        return err_set(err, ERR_LIMIT, "out of memory");
    w->has_entries = has_entries;
    w->path = strdup(target->path);
    if (w->path == NULL || watch_root_open(&t->hub, target, &sink, w, &w->root, err) != 0) {
        int rc = w->path == NULL ? err_set(err, ERR_LIMIT, "out of memory") : -1;

        watcher_free(w);
        return rc;
    }
    exchange_on_gone(w->peer.x, gone, w);
    exchange_on_drain(w->peer.x, drained, w);
    if (call->timeout_ms > 0)
        timer_start(t->loop, &w->deadline, call->timeout_ms, deadline_reached, w);
    return 0;
}

struct watcher *watcher_find(const struct watchers *t, struct str id)
{
    for (struct list_node *n = list_first(&t->all); n != NULL; n = list_next(&t->all, n)) {
        struct watcher *w = container_of(n, struct watcher, node);

        if (!w->is_stream && w->is_started && str_is(id, w->id))
            return w;
    }
    return NULL;
}

/* The records as {"events":[…]} or as protobuf. */
static void put_answer(struct str records, bool is_json, struct buf *out)
{
    uint32_t len;

    buf_add_text(out, is_json ? "{\"events\":[" : "");
    for (struct str rest = records; rest.len > 0; rest = str_from(rest, sizeof(len) + len)) {
        struct watcher_events one = {0};
        struct str record;
        struct arena a;
        struct err err;

        memcpy(&len, rest.at, sizeof(len));
        record = str_upto(str_from(rest, sizeof(len)), len);
        if (!is_json) {
            buf_add_str(out, record);
            continue;
        }
        arena_init(&a, 4 * MESSAGE_MAX);
        buf_add_text(out, rest.at == records.at ? "" : ",");
        if (proto_decode(&watcher_events_message, record, &a, &one, &err) == 0 && one.events.count)
            json_encode(&filesystem_event_message, one.events.items, out);
        else
            out->failed = true; /* our own encoding: only memory can be the reason */
        arena_done(&a);
    }
    buf_add_text(out, is_json ? "]}" : "");
}

void watcher_take(struct watcher *w, struct rpc_peer peer)
{
    struct buf out;

    if (w->failure != CONNECT_OK && (w->queue.len == 0 || !buf_ok(&w->queue))) {
        rpc_fail(peer, w->failure, "%s", w->failure_text);
        return;
    }
    buf_init(&out, 6 * WATCH_QUEUE_MAX);
    put_answer(buf_str(&w->queue), peer.form == CONNECT_JSON, &out);
    queue_eat(w, w->queue.len);
    rpc_reply_buf(peer, &out);
    if (w->root != NULL)
        watch_root_resume(w->root);
}

void watcher_close(struct watcher *w)
{
    watcher_free(w);
}

void watchers_init(struct watchers *t, struct loop *l)
{
    *t = (struct watchers){.loop = l};
    watch_hub_init(&t->hub, l);
}

void watchers_done(struct watchers *t)
{
    struct list_node *n;

    while ((n = list_first(&t->all)) != NULL)
        watcher_free(container_of(n, struct watcher, node));
    watch_hub_done(&t->hub);
}

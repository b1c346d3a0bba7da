/* SPDX-License-Identifier: Apache-2.0 */
/* See conduit.h. */
#include "worker/conduit.h"

#include <stdio.h>

#include "http/websocket.h"

enum {
    TARGET_SIZE = 2048,
    MEMORY_MAX = 64 << 10,
};

struct ref {
    struct str channel_id, access_key, direction;
};
struct pair {
    struct str writer, reader;
};

/* clang-format off */
static const struct codec_field ref_fields[] = {
    {1, "channel_id", CODEC_STRING, CODEC_REQUIRED, offsetof(struct ref, channel_id)},
    {2, "access_key", CODEC_STRING, CODEC_REQUIRED, offsetof(struct ref, access_key)},
    {3, "direction", CODEC_STRING, CODEC_REQUIRED, offsetof(struct ref, direction)},
};
static const struct codec_message ref_table =
    {NULL, sizeof(struct ref), ref_fields, COUNT_OF(ref_fields)};
static const struct codec_field pair_fields[] = {
    {1, "writer", CODEC_RAW, CODEC_REQUIRED, offsetof(struct pair, writer)},
    {2, "reader", CODEC_RAW, CODEC_REQUIRED, offsetof(struct pair, reader)},
};
static const struct codec_message pair_table =
    {NULL, sizeof(struct pair), pair_fields, COUNT_OF(pair_fields)};
/* clang-format on */

struct conduit {
    struct list_node node; /* of those that are being written */
    struct worker *worker;
    struct job *job; /* of one that is read, or is being made */
    struct address to;
    char target[TARGET_SIZE];
    struct outdial *dial;
    struct websocket *socket;
    struct timer deadline;
    struct buf bytes;
    size_t sent, size;
    bool is_counted; /* among the worker's channels */
    conduit_bytes_fn *then_bytes;
    conduit_ref_fn *then_ref;
};

void conduit_free(struct conduit *c)
{
    if (c == NULL)
        return;
    list_remove(&c->node);
    if (c->is_counted) {
        c->worker->channel_count--;
        c->worker->channel_bytes -= c->size;
    }
    outdial_cancel(c->dial);
    websocket_free(c->socket);
    timer_stop(&c->deadline);
    if (c->bytes.at != NULL)
        explicit_bzero(c->bytes.at, c->bytes.len);
    buf_done(&c->bytes);
    free(c);
}

void conduits_end(struct worker *w)
{
    struct list_node *n;

    while ((n = list_first(&w->channels)) != NULL)
        conduit_free(container_of(n, struct conduit, node));
}

static void fail(struct conduit *c, const char *why)
{
    struct job *j = c->job;

    if (j == NULL)
        conduit_free(c); /* the reader sees an end that comes too early */
    else
        job_fault(j, FAULT_FS_CHANNEL, "the channel was aborted: %s", why);
}

static void on_late(void *ctx)
{
    fail(ctx, "it took too long");
}

static void send_more(void *ctx)
{
    struct conduit *c = ctx;
    bool may_go_on = true;

    while (may_go_on && c->sent < c->bytes.len) {
        struct str part = str_upto(str_from(buf_str(&c->bytes), c->sent), CHANNEL_PIECE);

        may_go_on = websocket_send(c->socket, false, part);
        c->sent += part.len;
    }
    if (c->sent == c->bytes.len)
        websocket_leave(c->socket, WS_NORMAL, CHANNEL_MS);
}

static void on_open(void *ctx)
{
    struct conduit *c = ctx;

    if (c->job == NULL)
        send_more(c);
}

static void on_message(void *ctx, bool is_text, struct str data)
{
    struct conduit *c = ctx;

    if (is_text || c->job == NULL)
        return; /* words beside the bytes */
    buf_add_str(&c->bytes, data);
    if (!buf_ok(&c->bytes))
        job_fault(c->job, FAULT_CAPACITY, "more came from the channel than a file may have");
}

static void on_close(void *ctx, unsigned code, const struct err *err)
{
    struct conduit *c = ctx;
    struct job *j = c->job;
    struct str own;

    if (j == NULL) {
        conduit_free(c);
        return;
    }
    if (err != NULL || (code != WS_NORMAL && code != WS_NO_CODE)) {
        fail(c, err == NULL ? "its other end broke off" : err->text);
        return;
    }
    own = arena_str(&j->arena, buf_str(&c->bytes));
    j->channel = NULL;
    if (own.at == NULL) {
        conduit_free(c);
        job_fault(j, FAULT_CAPACITY, "too little memory for this call");
        return;
    }
    c->then_bytes(j, own);
    conduit_free(c);
}

static void on_dialed(void *ctx, struct http_conn *conn, const struct err *err)
{
    static const struct websocket_events events = {on_open, on_message, NULL, send_more, on_close};
    struct conduit *c = ctx;
    const struct websocket_spec spec = {
        .conn = conn, .host = str_of(c->to.authority), .target = str_of(c->target)};

    c->dial = NULL;
    if (err != NULL)
        fail(c, err->text);
    else
        c->socket = websocket_new(c->worker->loop, &spec, &events, c);
}

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!((text.at[i] >= 'a' && text.at[i] <= 'z') ||
              (text.at[i] >= 'A' && text.at[i] <= 'Z') ||
              (text.at[i] >= '0' && text.at[i] <= '9') || strchr("-_.~", text.at[i]) != NULL))
            return false;
    return text.len > 0 && text.len <= 512;
}

/* False: the reference is none. */
static bool join(struct conduit *c, struct str ref_text, const char *direction)
{
    struct ref ref = {0};
    struct arena arena;
    bool is_good;

    arena_init(&arena, MEMORY_MAX);
    is_good = json_decode(&ref_table, ref_text, &arena, &ref, NULL) == 0 &&
              is_plain(ref.channel_id) && is_plain(ref.access_key) &&
              str_is(ref.direction, direction);
    if (is_good)
        ignore(snprintf(c->target, sizeof(c->target), "%s/ws/channels/%.*s?key=%.*s&dir=%s",
                        c->to.path, STR_ARG(ref.channel_id), STR_ARG(ref.access_key), direction));
    explicit_bzero(&ref, sizeof(ref));
    arena_done(&arena);
    if (!is_good)
        return false;
    timer_start(c->worker->loop, &c->deadline, CHANNEL_MS, on_late, c);
    c->dial = outdial_start(c->worker->dialer, &c->to, on_dialed, c);
    return true;
}

static struct conduit *conduit_new(struct job *j, size_t max)
{
    struct conduit *c = mem_zero(sizeof(*c));

    c->worker = j->worker;
    c->job = j;
    c->to = *engine_address(j->worker->engine);
    buf_init(&c->bytes, max);
    j->channel = c;
    return c;
}

void conduit_read(struct job *j, struct str ref, size_t max, conduit_bytes_fn *then)
{
    struct conduit *c = conduit_new(j, max);

    c->then_bytes = then;
    if (!join(c, ref, "read"))
        job_fault(j, FAULT_INPUT, "a reference to a channel's reading end is needed");
}

static void on_made(void *ctx, struct str result, const struct engine_error *error)
{
    struct conduit *c = ctx;
    struct job *j = c->job;
    struct pair pair = {0};

    j->forward = NULL;
    if (error != NULL || json_decode(&pair_table, result, &j->arena, &pair, NULL) != 0 ||
        !join(c, pair.writer, "write")) {
        fail(c, "the engine gives none");
        return;
    }
    j->channel = NULL; /* from here on by itself */
    c->job = NULL;
    list_push(&c->worker->channels, &c->node);
    c->then_ref(j, pair.reader);
}

void conduit_give(struct job *j, struct buf *bytes, conduit_ref_fn *then)
{
    struct worker *w = j->worker;
    struct conduit *c;

    if (w->channel_count >= CHANNELS_MAX || w->channel_bytes + bytes->len > CHANNEL_BYTES_MAX) {
        buf_done(bytes);
        job_fault(j, FAULT_CAPACITY, "too many channels are being read");
        return;
    }
    c = conduit_new(j, 0);
    c->bytes = *bytes;
    *bytes = (struct buf){0};
    c->size = c->bytes.len;
    c->then_ref = then;
    c->is_counted = true;
    w->channel_count++;
    w->channel_bytes += c->size;
    j->forward = engine_invoke(w->engine, STR("engine::channels::create"), STR("{}"),
                               w->settings.request_timeout_ms, on_made, c);
}

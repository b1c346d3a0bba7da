/* SPDX-License-Identifier: Apache-2.0 */
/* Connections of HTTP/2: what nghttp2 reads and writes, their timers, their end. All that nghttp2
 * calls back is here; nothing is sent from inside a callback but at the end of the turn. */
#include "http/h2_internal.h"
#include "io/socket.h"

enum {
    TICK_MS = 1000,
    HEAD_MS = 10 * 1000,
    IDLE_MS = 640 * 1000,
    FIELD_SECTION_MAX = HTTP_HEAD_MAX,
    SETTINGS_MAX = 32, /* entries in one frame */
    ACKS_MAX = 100,    /* answers to settings and pings that wait */
};

static void h2_free(struct h2 *h2);

static void on_turn_end(void *ctx);

void h2_later(struct h2 *h2)
{
    task_defer(h2->loop, &h2->wake, on_turn_end, h2);
}

static struct h2_stream *find(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

/* Callbacks of nghttp2. */

static int on_begin(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2 *h2 = ctx;
    struct h2_stream *s;

    h2->is_in_head = true;
    h2->head_ms = loop_now_ms(h2->loop);
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    s = h2_stream_new(h2, frame->hd.stream_id);
    return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static int on_field(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value, uint8_t flags, void *ctx)
{
    struct h2_stream *s = find(session, frame->hd.stream_id);
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
    struct str field = {(const char *)n.base, n.len}, text = {(const char *)v.base, v.len};

    ignore(flags);
    ignore(ctx == NULL);
    if (s == NULL)
        return 0;
    if (s->request != NULL)
        h2_request_field(s->request, field, text);
    else
        h2_trailer_field(&s->trailers, field, text);
    return 0;
}

/* A field that HTTP does not allow is not passed over, as nghttp2 would: the request is void. */
static int on_bad_field(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                        nghttp2_rcbuf *value, uint8_t flags, void *ctx)
{
    ignore(session == ctx);
    ignore(name == value);
    ignore(frame->hd.flags | flags);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_data_bytes(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                         size_t len, void *ctx)
{
    struct h2_stream *s = find(session, id);

    ignore(flags);
    ignore(ctx == NULL);
    if (s != NULL)
        h2_stream_take(s, (struct str){(const char *)data, len});
    else
        ignore(nghttp2_session_consume_connection(session, len)); /* of a stream that is over */
    return 0;
}

/* Frames that cost us work and ask for nothing: a peer has only so many of them. */
static bool is_idle_frame(const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
    case NGHTTP2_PRIORITY: return true;
    case NGHTTP2_DATA:
        return frame->hd.length == 0 && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0;
    default: return false;
    }
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    static const struct bucket_rule rule = {H2_IDLE_FRAMES_RATE, H2_IDLE_FRAMES_BURST};
    struct h2 *h2 = ctx;
    struct h2_stream *s;

    h2->has_begun = true;
    if (is_idle_frame(frame) && !bucket_take(&h2->budget, &rule, 1, loop_now_ms(h2->loop)))
        return nghttp2_session_terminate_session(session, NGHTTP2_ENHANCE_YOUR_CALM);
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    s = find(session, frame->hd.stream_id);
    if (frame->hd.type == NGHTTP2_HEADERS)
        h2->is_in_head = false;
    if (s == NULL)
        return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
        h2_stream_request_end(s);
    if (frame->hd.type == NGHTTP2_HEADERS && s->request != NULL)
        h2_stream_begin(s);
    return 0;
}

/* Our answer is complete and the request is not: nobody will read the rest. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2_stream *s;

    ignore(ctx == NULL);
    if ((frame->hd.type != NGHTTP2_DATA && frame->hd.type != NGHTTP2_HEADERS) ||
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0)
        return 0;
    s = find(session, frame->hd.stream_id);
    if (s != NULL && !s->has_request_end)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct h2_stream *s = find(session, id);

    ignore(code);
    ignore(ctx == NULL);
    if (s != NULL)
        h2_stream_closed(s);
    return 0;
}

/* The connection. */

static bool is_over(const struct h2 *h2)
{
    if (stream_unsent(&h2->stream) > 0)
        return false;
    return h2->is_ending || (h2->stream.eof && h2->count == 0) ||
           (nghttp2_session_want_read(h2->session) == 0 &&
            nghttp2_session_want_write(h2->session) == 0);
}

static void on_turn_end(void *ctx)
{
    struct h2 *h2 = ctx;

    if (h2_send(h2->session, &h2->stream) != 0 || is_over(h2))
        h2_free(h2);
}

/* The peer sends no more: requests that are not complete never will be. */
static void give_up_halves(struct h2 *h2)
{
    struct list_node *n;

    for (n = list_first(&h2->streams); n != NULL; n = list_next(&h2->streams, n)) {
        struct h2_stream *s = container_of(n, struct h2_stream, node);

        if (!s->has_request_end)
            ignore(
                nghttp2_submit_rst_stream(h2->session, NGHTTP2_FLAG_NONE, s->id,
                                          NGHTTP2_CANCEL)); /* without memory: the timer ends it */
    }
}

static void read_frames(struct h2 *h2)
{
    struct str in = buf_str(&h2->stream.in);
    ssize_t used = 0;

    if (h2->is_ending) {
        stream_consume(&h2->stream, in.len);
        return;
    }
    if (in.len > 0)
        used = nghttp2_session_mem_recv(h2->session, (const uint8_t *)in.at, in.len);
    stream_consume(&h2->stream, in.len);
    /* what nghttp2 has to say about it is sent before the end */
    h2->is_ending = used < 0 || h2->stream.hung;
    if (h2->stream.eof)
        give_up_halves(h2);
    h2_later(h2);
}

static void on_data(void *ctx)
{
    read_frames(ctx);
}

static void on_drain(void *ctx)
{
    h2_later(ctx);
}

static void on_fail(void *ctx)
{
    h2_free(ctx);
}

static const struct stream_events events = {on_data, on_drain, on_fail, HTTP_IN_MAX, HTTP_OUT_MAX};

/* First a word that no streams are wanted; those that crossed it on the wire are still served. */
static void leave(struct h2 *h2)
{
    h2->is_leaving = true;
    ignore(nghttp2_submit_shutdown_notice(h2->session)); /* without memory it is cut at the end */
    h2_later(h2);
}

static void name_last(struct h2 *h2)
{
    int32_t last = nghttp2_session_get_last_proc_stream_id(h2->session);

    h2->is_last = true;
    ignore(nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, NULL,
                                 0)); /* the same */
    h2_later(h2);
}

static void on_tick(void *ctx)
{
    struct h2 *h2 = ctx;
    const struct http_limits *limits = &h2->server->limits;
    uint64_t quiet_ms = loop_now_ms(h2->loop) - h2->head_ms;
    bool is_late = !h2->has_begun || h2->is_in_head ? quiet_ms >= limits->head_ms
                                                    : quiet_ms >= limits->idle_ms;

    timer_start(h2->loop, &h2->timer, TICK_MS, on_tick, h2);
    if (h2->is_leaving && !h2->is_last)
        name_last(h2);
    if (h2->count > 0 && h2->has_begun && !h2->is_in_head) {
        h2->head_ms = loop_now_ms(h2->loop);
        return;
    }
    if (!is_late)
        return;
    if (h2->is_ending) {
        h2_free(h2);
        return;
    }
    h2->is_ending = true; /* a peer that reads is told */
    ignore(nghttp2_session_terminate_session(h2->session, NGHTTP2_NO_ERROR));
    h2_later(h2);
}

static void h2_free(struct h2 *h2)
{
    struct h2_server *server = h2->server;
    struct list_node *n;

    while ((n = list_first(&h2->streams)) != NULL)
        h2_stream_closed(container_of(n, struct h2_stream, node));
    timer_stop(&h2->timer);
    task_cancel(&h2->wake);
    nghttp2_session_del(h2->session);
    stream_close(&h2->stream);
    list_remove(&h2->node);
    server->count--;
    if (server->on_close != NULL)
        server->on_close(server->close_ctx, h2->tag);
    free(h2);
}

static int begin(struct h2 *h2)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,  H2_STREAMS_MAX   },
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,     H2_STREAM_WINDOW },
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE,    FIELD_SECTION_MAX},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1                },
    };

    return nghttp2_session_server_new2(&h2->session, h2->server->callbacks, h2,
                                       h2->server->option) != 0 ||
                   nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings,
                                           COUNT_OF(settings)) != 0 ||
                   nghttp2_session_set_local_window_size(h2->session, NGHTTP2_FLAG_NONE, 0,
                                                         H2_WINDOW) != 0
               ? -1
               : 0;
}

static struct h2 *h2_new(struct h2_server *s, unsigned tag, unsigned stream_tag)
{
    struct h2 *h2;

    if (s->count >= s->limits.connections_max)
        return NULL;
    h2 = mem_zero(sizeof(*h2));
    h2->server = s;
    h2->loop = s->loop;
    h2->tag = tag;
    h2->stream_tag = stream_tag;
    if (begin(h2) != 0) {
        nghttp2_session_del(h2->session);
        free(h2);
        return NULL;
    }
    return h2;
}

static void start(struct h2 *h2)
{
    list_push(&h2->server->connections, &h2->node);
    h2->server->count++;
    h2->head_ms = loop_now_ms(h2->loop);
    timer_start(h2->loop, &h2->timer, TICK_MS, on_tick, h2);
    if (h2->server->is_draining)
        leave(h2);
    h2_later(h2);
}

static void tell_closed(struct h2_server *s, unsigned tag)
{
    if (s->on_close != NULL)
        s->on_close(s->close_ctx, tag);
}

void h2_server_adopt_over(struct h2_server *s, struct transport *t, unsigned tag,
                          unsigned stream_tag)
{
    struct h2 *h2 = h2_new(s, tag, stream_tag);

    if (h2 == NULL) {
        t->ops->close(t);
        tell_closed(s, tag);
        return;
    }
    stream_open_over(&h2->stream, t, &events, h2);
    start(h2);
}

void h2_server_adopt(struct h2_server *s, int fd, struct str first, unsigned tag,
                     unsigned stream_tag)
{
    struct h2 *h2 = h2_new(s, tag, stream_tag);
    struct err err;

    if (h2 == NULL) {
        own_close_fd(&fd);
        tell_closed(s, tag);
        return;
    }
    socket_no_delay(fd);
    if (stream_open(&h2->stream, s->loop, fd, false, &events, h2, &err) != 0) {
        nghttp2_session_del(h2->session);
        free(h2);
        tell_closed(s, tag);
        return;
    }
    buf_add_str(&h2->stream.in, first);
    start(h2);
    read_frames(h2);
}

/* The server. */

static int make_callbacks(struct h2_server *s)
{
    nghttp2_session_callbacks *c;

    if (nghttp2_session_callbacks_new(&s->callbacks) != 0 || nghttp2_option_new(&s->option) != 0)
        return -1;
    c = s->callbacks;
    nghttp2_session_callbacks_set_on_begin_headers_callback(c, on_begin);
    nghttp2_session_callbacks_set_on_header_callback2(c, on_field);
    nghttp2_session_callbacks_set_on_invalid_header_callback2(c, on_bad_field);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(c, on_data_bytes);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_option_set_no_auto_window_update(s->option, 1);
    nghttp2_option_set_peer_max_concurrent_streams(s->option, H2_STREAMS_MAX);
    nghttp2_option_set_max_settings(s->option, SETTINGS_MAX);
    nghttp2_option_set_max_outbound_ack(s->option, ACKS_MAX);
    nghttp2_option_set_max_send_header_block_length(s->option, 2 * HTTP_HEAD_MAX);
    return 0;
}

int h2_server_new(struct loop *l, struct http_server *server, const struct http_limits *limits,
                  struct h2_server **out, struct err *err)
{
    struct h2_server *s = mem_zero(sizeof(*s));

    s->loop = l;
    s->server = server;
    s->limits = *limits;
    s->limits.head_ms = s->limits.head_ms == 0 ? HEAD_MS : s->limits.head_ms;
    s->limits.idle_ms = s->limits.idle_ms == 0 ? IDLE_MS : s->limits.idle_ms;
    s->limits.connections_max = s->limits.connections_max == 0 ? 4096 : s->limits.connections_max;
    if (make_callbacks(s) != 0) {
        h2_server_free(s);
        return err_set(err, ERR_SYSTEM, "set up HTTP/2");
    }
    *out = s;
    return 0;
}

void h2_server_on_close(struct h2_server *s, close_fn *fn, void *ctx)
{
    s->on_close = fn;
    s->close_ctx = ctx;
}

size_t h2_server_connections(const struct h2_server *s)
{
    return s->count;
}

void h2_server_drain(struct h2_server *s)
{
    struct list_node *n;

    s->is_draining = true;
    for (n = list_first(&s->connections); n != NULL; n = list_next(&s->connections, n))
        leave(container_of(n, struct h2, node));
}

void h2_server_free(struct h2_server *s)
{
    struct list_node *n;

    if (s == NULL)
        return;
    while ((n = list_first(&s->connections)) != NULL)
        h2_free(container_of(n, struct h2, node));
    nghttp2_session_callbacks_del(s->callbacks);
    nghttp2_option_del(s->option);
    free(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See h2_client.h. The mirror of h2.c and h2_stream.c, for a single call at a time. */
#include "http/h2_client.h"

#include <errno.h>

#include "http/h2_internal.h"
#include "io/socket.h"

struct h2_client {
    struct transport transport;
    struct stream stream;
    nghttp2_session *session;
    struct task wake, turn;
    int32_t id; /* of the call's stream; 0: none */
    bool is_broken;
    /* request */
    struct buf head;
    struct body body;
    struct buf out;
    bool has_request_end, is_deferred;
    /* answer */
    unsigned status;
    struct buf lines; /* its fields, then its trailers */
    struct buf in, data;
    bool has_answer, has_answer_end, is_chunked;
};

static void turn_end(void *ctx);

static void later(struct h2_client *c)
{
    task_defer(c->transport.loop, &c->turn, turn_end, c);
}

static struct h2_client *client_of(struct transport *t)
{
    return container_of(t, struct h2_client, transport);
}

static bool is_readable(const struct h2_client *c)
{
    return c->in.len > 0 || c->data.len > 0 || c->has_answer_end || c->is_broken || c->stream.eof;
}

static void on_wake(void *ctx)
{
    struct h2_client *c = ctx;
    struct transport *t = &c->transport;
    uint32_t events = 0;

    if ((t->events & EPOLLIN) != 0 && is_readable(c))
        events |= EPOLLIN;
    if ((t->events & EPOLLOUT) != 0 && (c->out.len < H2_ANSWER_MAX || c->is_broken))
        events |= EPOLLOUT;
    if (events != 0 && t->fn != NULL)
        t->fn(t->ctx, events);
}

static void wake(struct h2_client *c)
{
    task_defer(c->transport.loop, &c->wake, on_wake, c);
}

static void break_off(struct h2_client *c)
{
    c->is_broken = true;
    wake(c);
}

/* Answer: callbacks of nghttp2. */

static int on_field(nghttp2_session *session, const nghttp2_frame *frame, nghttp2_rcbuf *name,
                    nghttp2_rcbuf *value, uint8_t flags, void *ctx)
{
    struct h2_client *c = ctx;
    nghttp2_vec n = nghttp2_rcbuf_get_buf(name), v = nghttp2_rcbuf_get_buf(value);
    struct str field = {(const char *)n.base, n.len}, text = {(const char *)v.base, v.len};
    uint64_t status;

    ignore(session == NULL);
    ignore(flags);
    if (frame->hd.stream_id != c->id)
        return 0;
    if (str_is(field, ":status") && str_to_u64(text, &status))
        c->status = (unsigned)status;
    else if (field.len > 0 && field.at[0] != ':' && !str_is(field, "content-length"))
        http_put_field(&c->lines, field, text);
    return buf_ok(&c->lines) ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void put_head(struct h2_client *c, bool is_end)
{
    http_put_status_line(&c->in, c->status);
    buf_add_str(&c->in, buf_str(&c->lines));
    c->is_chunked = !is_end && c->status != 204 && c->status != 304;
    if (c->is_chunked)
        http_put_field_text(&c->in, "Transfer-Encoding", "chunked");
    else if (c->status != 204 && c->status != 304)
        http_put_field_u64(&c->in, "Content-Length", 0);
    buf_add_str(&c->in, STR("\r\n"));
    c->has_answer = true;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *ctx)
{
    struct h2_client *c = ctx;
    bool is_end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;

    ignore(session == NULL);
    if (frame->hd.stream_id != c->id ||
        (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && !c->has_answer) {
        if (c->status >= 200)
            put_head(c, is_end);
        buf_clear(&c->lines);
    }
    c->has_answer_end = c->has_answer_end || is_end;
    if (!buf_ok(&c->in))
        break_off(c);
    wake(c);
    return 0;
}

static int on_bytes(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                    size_t len, void *ctx)
{
    struct h2_client *c = ctx;

    ignore(flags);
    if (id != c->id) {
        ignore(nghttp2_session_consume_connection(session, len)); /* of a call that is over */
        return 0;
    }
    buf_add(&c->data, data, len);
    if (!buf_ok(&c->data))
        break_off(c);
    wake(c);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *ctx)
{
    struct h2_client *c = ctx;

    ignore(session == NULL);
    if (id == c->id && (code != NGHTTP2_NO_ERROR || !c->has_answer_end))
        break_off(c);
    return 0;
}

/* Answer: the connection reads it. */

static void frame_answer(struct h2_client *c)
{
    if (c->data.len > 0) {
        size_t len = h2_put_chunk(&c->in, &c->data);

        ignore(nghttp2_session_consume(c->session, c->id, len)); /* fails without memory */
        later(c);
        return;
    }
    if (c->is_chunked) {
        buf_add_str(&c->in, STR("0\r\n"));
        buf_add_str(&c->in, buf_str(&c->lines));
        buf_add_str(&c->in, STR("\r\n"));
    }
    c->id = 0; /* the next call may begin */
    c->has_answer_end = false;
}

static ssize_t read_answer(struct transport *t, void *to, size_t size)
{
    struct h2_client *c = client_of(t);
    size_t got = 0;

    while (got < size) {
        got += h2_take(&c->in, (char *)to + got, size - got);
        if (got == size || (c->data.len == 0 && !c->has_answer_end))
            break;
        if (c->in.len == 0)
            frame_answer(c);
        if (!buf_ok(&c->in))
            c->is_broken = true;
    }
    if (got > 0)
        return (ssize_t)got;
    errno = c->is_broken ? ECONNRESET : EAGAIN;
    return c->stream.eof && !c->is_broken ? 0 : -1;
}

/* Request. */

static ssize_t give_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct h2_client *c = ctx;
    size_t len;

    ignore(session == source->ptr);
    ignore(id);
    if (c->out.len == 0 && !c->has_request_end) {
        c->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    len = h2_take(&c->out, (char *)to, size);
    wake(c);
    if (c->out.len == 0 && c->has_request_end)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)len;
}

static int submit(struct h2_client *c, const struct http_head *h)
{
    const nghttp2_data_provider provider = {.read_callback = give_data};
    nghttp2_nv nv[H2_FIELDS_OUT + 4];
    size_t count = 0;

    h2_put_nv(&nv[count++], STR(":method"), h->method);
    h2_put_nv(&nv[count++], STR(":scheme"), STR("http"));
    h2_put_nv(&nv[count++], STR(":authority"), http_field(h, "Host"));
    h2_put_nv(&nv[count++], STR(":path"), h->target);
    for (size_t i = 0; i < h->field_count && count < H2_FIELDS_OUT; i++) {
        struct str name = h->fields[i].name;

        if (!http_is_hop_field(h, name) && !str_ieq(name, STR("Host")) &&
            !str_ieq(name, STR("Expect")))
            h2_put_nv(&nv[count++], h2_lower(name), h->fields[i].value);
    }
    h2_put_nv(&nv[count++], STR("te"), STR("trailers"));
    c->id = nghttp2_submit_request(c->session, NULL, nv, count,
                                   c->has_request_end ? NULL : &provider, NULL);
    return c->id > 0 ? 0 : -1;
}

/* The head of the next call. What it ends at, 0: more is needed, -1: it cannot be sent. */
static int take_head(struct h2_client *c)
{
    struct http_head h;
    const char *why;
    int used = http_parse_request(buf_str(&c->head), &h, &why);

    if (used <= 0)
        return used;
    body_init(&c->body, &h);
    c->has_request_end = c->body.is_done;
    c->has_answer = c->has_answer_end = c->is_deferred = false;
    c->status = 0;
    buf_clear(&c->lines);
    if (submit(c, &h) != 0)
        return -1;
    buf_consume(&c->head, (size_t)used);
    return used;
}

static ssize_t take_body(struct h2_client *c, struct str bytes)
{
    size_t used = 0;

    while (used < bytes.len && c->out.len < H2_ANSWER_MAX && !c->body.is_done) {
        struct str data;
        ssize_t n = body_next(&c->body, str_upto(str_from(bytes, used), H2_FRAMED_MAX), &data);

        buf_add_str(&c->out, data);
        if (n < 0 || !buf_ok(&c->out))
            return -1;
        used += (size_t)n;
    }
    c->has_request_end = c->has_request_end || c->body.is_done;
    if (c->is_deferred && (c->out.len > 0 || c->has_request_end)) {
        c->is_deferred = false;
        ignore(nghttp2_session_resume_data(c->session, c->id)); /* it was deferred */
    }
    later(c);
    return (ssize_t)used;
}

/* What follows a head in `head` is body. */
static int flush_head(struct h2_client *c)
{
    ssize_t used = take_body(c, buf_str(&c->head));

    if (used >= 0)
        buf_consume(&c->head, (size_t)used);
    return used < 0 ? -1 : 0;
}

static ssize_t take_part(struct h2_client *c, struct str bytes)
{
    if (c->id > 0 && c->head.len == 0)
        return take_body(c, bytes);
    if (c->id > 0)
        return flush_head(c) != 0 ? -1 : 0;
    bytes = str_upto(bytes, buf_left(&c->head));
    buf_add_str(&c->head, bytes);
    if (bytes.len == 0 || !buf_ok(&c->head) || take_head(c) < 0)
        return -1;
    if (c->id > 0 && flush_head(c) != 0)
        return -1;
    return (ssize_t)bytes.len;
}

static ssize_t write_request(struct transport *t, const struct iovec *parts, size_t count)
{
    struct h2_client *c = client_of(t);
    size_t taken = 0;

    for (size_t i = 0; i < count && !c->is_broken; i++) {
        ssize_t n = take_part(c, (struct str){parts[i].iov_base, parts[i].iov_len});

        if (n < 0)
            break_off(c);
        taken += n > 0 ? (size_t)n : 0;
        if (n < (ssize_t)parts[i].iov_len)
            break;
    }
    later(c);
    if (taken > 0)
        return (ssize_t)taken;
    errno = c->is_broken ? EPIPE : EAGAIN;
    return -1;
}

static void want(struct transport *t, uint32_t events)
{
    struct h2_client *c = client_of(t);

    t->events = events;
    if (events != 0)
        wake(c);
}

static void end_request(struct transport *t)
{
    ignore(t->fd); /* a request says by itself where it ends */
}

static void close_client(struct transport *t)
{
    struct h2_client *c = client_of(t);

    task_cancel(&c->wake);
    task_cancel(&c->turn);
    nghttp2_session_del(c->session);
    stream_close(&c->stream);
    body_done(&c->body);
    buf_done(&c->head);
    buf_done(&c->out);
    buf_done(&c->lines);
    buf_done(&c->in);
    buf_done(&c->data);
    free(c);
}

static const struct transport_ops ops = {read_answer, write_request, want, end_request,
                                         close_client};

/* The connection. */

static void turn_end(void *ctx)
{
    struct h2_client *c = ctx;

    if (h2_send(c->session, &c->stream) != 0)
        break_off(c);
}

static void on_data(void *ctx)
{
    struct h2_client *c = ctx;
    struct str in = buf_str(&c->stream.in);

    if (!c->is_broken && in.len > 0 &&
        nghttp2_session_mem_recv(c->session, (const uint8_t *)in.at, in.len) < 0)
        break_off(c);
    stream_consume(&c->stream, in.len);
    if (c->stream.eof || c->stream.hung)
        c->is_broken = c->is_broken || (c->id > 0 && !c->has_answer_end);
    later(c);
    wake(c);
}

static void on_drain(void *ctx)
{
    later(ctx);
}

static void on_fail(void *ctx)
{
    break_off(ctx);
}

static const struct stream_events events = {on_data, on_drain, on_fail, HTTP_IN_MAX, HTTP_OUT_MAX};

static int begin(struct h2_client *c)
{
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH,          0               },
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,  H2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX   },
    };
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    int status = nghttp2_session_callbacks_new(&callbacks) | nghttp2_option_new(&option);

    if (status == 0) {
        nghttp2_session_callbacks_set_on_header_callback2(callbacks, on_field);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_bytes);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_option_set_no_auto_window_update(option, 1);
        status = nghttp2_session_client_new2(&c->session, callbacks, c, option);
    }
    if (status == 0)
        status =
            nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings));
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return status;
}

int h2_client_open(struct loop *l, int fd, bool is_connecting, struct transport **out,
                   struct err *err)
{
    struct h2_client *c = mem_zero(sizeof(*c));

    socket_no_delay(fd);
    c->transport = (struct transport){.ops = &ops, .loop = l, .fd = fd};
    buf_init(&c->head, 2 * HTTP_HEAD_MAX);
    buf_init(&c->out, H2_ANSWER_MAX + H2_FRAMED_MAX);
    buf_init(&c->lines, HTTP_HEAD_MAX);
    buf_init(&c->in, 2 * HTTP_HEAD_MAX + 2 * H2_FRAMED_MAX);
    buf_init(&c->data, H2_STREAM_WINDOW);
    if (stream_open(&c->stream, l, fd, is_connecting, &events, c, err) != 0) {
        free(c);
        return -1;
    }
    if (begin(c) != 0) {
        close_client(&c->transport);
        return err_set(err, ERR_SYSTEM, "set up HTTP/2");
    }
    later(c);
    *out = &c->transport;
    return 0;
}

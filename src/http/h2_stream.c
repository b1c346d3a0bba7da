/* SPDX-License-Identifier: Apache-2.0 */
/* One stream of HTTP/2 as a transport: the server's session reads a request of HTTP/1.1 from it and
 * writes the answer to it. Data that the session does not read stays here and in the peer's window;
 * an answer that the peer does not take stops the session after H2_ANSWER_MAX bytes. */
#include <errno.h>

#include "http/h2_internal.h"

enum {
    CHUNK_LINES = 20,
    TRAILERS_MAX = 8 << 10,
    HEAD_OUT_MAX = 2 * HTTP_HEAD_MAX,
};

static struct h2_stream *stream_of(struct transport *t)
{
    return container_of(t, struct h2_stream, transport);
}

static bool is_readable(const struct h2_stream *s)
{
    return s->in.len > 0 || s->data.len > 0 || s->is_reset ||
           (s->has_request_end && !s->is_end_read);
}

static bool is_writable(const struct h2_stream *s)
{
    return s->is_reset || s->out.len < H2_ANSWER_MAX;
}

static void on_wake(void *ctx)
{
    struct h2_stream *s = ctx;
    struct transport *t = &s->transport;
    uint32_t events = 0;

    if ((t->events & EPOLLIN) != 0 && is_readable(s))
        events |= EPOLLIN;
    if ((t->events & EPOLLOUT) != 0 && is_writable(s))
        events |= EPOLLOUT;
    if (s->is_reset)
        events |= EPOLLHUP | EPOLLERR;
    if (events != 0 && t->fn != NULL)
        t->fn(t->ctx, events);
}

static void wake(struct h2_stream *s)
{
    if (s->is_adopted)
        task_defer(s->transport.loop, &s->wake, on_wake, s);
}

/* Request. */

/* The peer may send so much more. */
static void consumed(struct h2_stream *s, size_t len)
{
    if (s->h2 == NULL || len == 0)
        return;
    if (s->is_reset)
        ignore(nghttp2_session_consume_connection(s->h2->session, len));
    else
        ignore(nghttp2_session_consume(s->h2->session, s->id, len)); /* fails without memory */
    h2_later(s->h2);
}

static void frame_end(struct h2_stream *s)
{
    s->is_end_read = true;
    if (s->framing != H2_CHUNKED)
        return;
    buf_add_str(&s->in, STR("0\r\n"));
    if (buf_ok(&s->trailers))
        buf_add_str(&s->in, buf_str(&s->trailers));
    buf_add_str(&s->in, STR("\r\n"));
}

static ssize_t read_request(struct transport *t, void *to, size_t size)
{
    struct h2_stream *s = stream_of(t);
    size_t got = 0;

    while (got < size && !s->is_reset) {
        size_t len = h2_take(&s->in, (char *)to + got, size - got);

        if (len == 0 && s->framing != H2_CHUNKED) {
            len = h2_take(&s->data, (char *)to + got, size - got);
            consumed(s, len);
        }
        got += len;
        if (len > 0)
            continue;
        if (s->data.len > 0)
            consumed(s, h2_put_chunk(&s->in, &s->data));
        else if (s->has_request_end && !s->is_end_read)
            frame_end(s);
        else
            break;
        if (!buf_ok(&s->in)) {
            errno = ENOMEM;
            return -1;
        }
    }
    if (got > 0)
        return (ssize_t)got;
    errno = s->is_reset ? ECONNRESET : EAGAIN;
    return s->is_end_read && !s->is_reset ? 0 : -1;
}

/* Answer. */

static ssize_t give_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx);

static bool is_of_http1(const struct h2_stream *s, const struct http_head *h, struct str name)
{
    if (s->framing == H2_RAW && str_ieq(name, STR("Sec-WebSocket-Accept")))
        return true;
    return http_is_hop_field(h, name) || str_ieq(name, STR("Transfer-Encoding"));
}

static void submit_head(struct h2_stream *s, const struct http_head *h, bool has_body)
{
    const nghttp2_data_provider provider = {.source = {.ptr = s}, .read_callback = give_data};
    nghttp2_nv nv[H2_FIELDS_OUT];
    char status[4];
    size_t count = 0;
    unsigned code = h->status == 101 ? 200 : h->status;

    for (int i = 2; i >= 0; i--, code /= 10)
        status[i] = (char)('0' + code % 10);
    h2_put_nv(&nv[count++], STR(":status"), (struct str){status, 3});
    for (size_t i = 0; i < h->field_count && count < H2_FIELDS_OUT; i++) {
        if (!is_of_http1(s, h, h->fields[i].name))
            h2_put_nv(&nv[count++], h2_lower(h->fields[i].name), h->fields[i].value);
    }
    if (h->status < 200 && h->status != 101)
        ignore(nghttp2_submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, count,
                                      NULL)); /* fails without memory, as the next: */
    else if (nghttp2_submit_response(s->h2->session, s->id, nv, count,
                                     has_body ? &provider : NULL) != 0)
        ignore(nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                         NGHTTP2_INTERNAL_ERROR));
    h2_later(s->h2);
}

/* What ends the head of the answer; -1: it is none. */
static int take_head(struct h2_stream *s)
{
    struct str method = s->is_head_request ? STR("HEAD") : STR("GET");
    struct http_head h;
    const char *why;
    int used = http_parse_response(buf_str(&s->head), method, &h, &why);
    bool is_interim;

    if (used <= 0)
        return used;
    is_interim = h.status < 200 && h.status != 101;
    if (!is_interim) {
        body_init(&s->body, &h);
        s->has_head = true;
        if (h.status == 101)
            s->body.framing = HTTP_UNTIL_CLOSE;
        s->body.is_done = s->body.is_done && h.status != 101;
        s->has_answer_end = s->is_end_sent = s->body.is_done;
    }
    submit_head(s, &h, !s->has_answer_end);
    buf_consume(&s->head, (size_t)used);
    return is_interim ? take_head(s) : used;
}

/* Bytes behind the head, unframed. Returns how many were used, -1: malformed. */
static ssize_t take_body(struct h2_stream *s, struct str bytes)
{
    size_t used = 0;

    while (used < bytes.len && s->out.len < H2_ANSWER_MAX && !s->body.is_done) {
        struct str data;
        ssize_t n = body_next(&s->body, str_upto(str_from(bytes, used), H2_FRAMED_MAX), &data);

        if (n < 0)
            return -1;
        buf_add_str(&s->out, data);
        used += (size_t)n;
        if (!buf_ok(&s->out))
            return -1;
    }
    if (s->body.is_done)
        s->has_answer_end = true;
    if (s->is_deferred && (s->out.len > 0 || s->has_answer_end)) {
        s->is_deferred = false;
        ignore(nghttp2_session_resume_data(s->h2->session, s->id)); /* it was deferred */
    }
    h2_later(s->h2);
    return (ssize_t)used;
}

/* What comes together with the head's end waits in `head` until there is room for it. */
static int flush_head(struct h2_stream *s)
{
    ssize_t used = take_body(s, buf_str(&s->head));

    if (used < 0)
        return -1;
    buf_consume(&s->head, (size_t)used);
    return 0;
}

static ssize_t take_part(struct h2_stream *s, struct str bytes)
{
    size_t seen = s->head.len;

    if (s->has_head && s->head.len > 0 && (flush_head(s) != 0 || s->head.len > 0))
        return s->head.len > 0 ? 0 : -1;
    if (s->has_head)
        return take_body(s, bytes);
    bytes = str_upto(bytes, buf_left(&s->head));
    buf_add_str(&s->head, bytes);
    if (!buf_ok(&s->head) || bytes.len == 0)
        return -1; /* a head without end */
    if (http_is_head_likely(buf_str(&s->head), seen) && take_head(s) < 0)
        return -1;
    if (s->has_head && flush_head(s) != 0)
        return -1;
    return (ssize_t)bytes.len;
}

static ssize_t write_answer(struct transport *t, const struct iovec *parts, size_t count)
{
    struct h2_stream *s = stream_of(t);
    size_t taken = 0;

    for (size_t i = 0; i < count && s->h2 != NULL && !s->is_reset; i++) {
        struct str part = {parts[i].iov_base, parts[i].iov_len};

        while (part.len > 0) {
            ssize_t n = take_part(s, part);

            if (n < 0) {
                errno = EPROTO;
                return -1;
            }
            taken += (size_t)n;
            part = str_from(part, (size_t)n);
            if (n == 0)
                break;
        }
        if (part.len > 0)
            break;
    }
    if (taken > 0)
        return (ssize_t)taken;
    errno = s->is_reset || s->h2 == NULL ? EPIPE : EAGAIN;
    return -1;
}

static size_t next_line(struct str *lines, nghttp2_nv *nv)
{
    struct str value, line = str_cut(*lines, '\n', lines);
    struct str name = str_cut(str_upto(line, line.len > 0 ? line.len - 1 : 0), ':', &value);

    if (name.len == 0)
        return 0;
    h2_put_nv(nv, h2_lower(name), str_trim(value));
    return 1;
}

/* Behind the last byte. True: they carry the end of the stream. */
static bool submit_trailers(struct h2_stream *s)
{
    nghttp2_nv nv[H2_FIELDS_OUT];
    struct str lines = buf_str(&s->body.trailers);
    size_t count = 0;

    while (lines.len > 0 && count < H2_FIELDS_OUT)
        count += next_line(&lines, &nv[count]);
    return count > 0 && nghttp2_submit_trailer(s->h2->session, s->id, nv, count) == 0;
}

static ssize_t give_data(nghttp2_session *session, int32_t id, uint8_t *to, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *ctx)
{
    struct h2_stream *s = source->ptr;
    size_t len;

    ignore(session == NULL);
    ignore(ctx == NULL);
    ignore(id);
    if (s->has_head && s->head.len > 0 && flush_head(s) != 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (s->out.len == 0 && !s->has_answer_end) {
        s->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    len = h2_take(&s->out, (char *)to, size);
    wake(s);
    if (s->out.len == 0 && s->has_answer_end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        s->is_end_sent = true;
        if (s->body.trailers.len > 0 && submit_trailers(s))
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return (ssize_t)len;
}

/* The session's half of it. */

static void want(struct transport *t, uint32_t events)
{
    struct h2_stream *s = stream_of(t);
    bool is_there =
        ((events & EPOLLIN) != 0 && is_readable(s)) || ((events & EPOLLOUT) != 0 && is_writable(s));

    t->events = events;
    if (is_there)
        wake(s);
}

/* Of a tunnel: an answer says by itself where it ends. */
static void end_answer(struct transport *t)
{
    struct h2_stream *s = stream_of(t);

    if (s->h2 == NULL || s->is_reset || !s->has_head || s->has_answer_end)
        return;
    if (s->body.framing != HTTP_UNTIL_CLOSE)
        return;
    s->body.is_done = true;
    ignore(take_body(s, (struct str){NULL, 0})); /* without bytes nothing is malformed */
}

static void close_answer(struct transport *t)
{
    struct h2_stream *s = stream_of(t);
    bool was_read = s->in.len == 0;

    s->is_adopted = false;
    task_cancel(&s->wake);
    if (s->h2 == NULL || s->is_reset) {
        h2_stream_free(s);
        return;
    }
    consumed(s, s->data.len);
    buf_done(&s->data);
    buf_done(&s->in);
    if (s->has_answer_end)
        return; /* freed when it is sent */
    ignore(nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                     was_read || s->has_head ? NGHTTP2_INTERNAL_ERROR
                                                             : NGHTTP2_REFUSED_STREAM));
    h2_later(s->h2);
}

static const struct transport_ops ops = {read_request, write_answer, want, end_answer,
                                         close_answer};

/* The connection's half. */

struct h2_stream *h2_stream_new(struct h2 *h2, int32_t id)
{
    struct h2_stream *s = mem_zero(sizeof(*s));

    s->transport = (struct transport){.ops = &ops, .loop = h2->loop, .fd = h2->stream.fd};
    s->h2 = h2;
    s->id = id;
    s->request = h2_request_new();
    buf_init(&s->in, HEAD_OUT_MAX + TRAILERS_MAX + H2_FRAMED_MAX + CHUNK_LINES);
    buf_init(&s->data, H2_STREAM_WINDOW);
    buf_init(&s->trailers, TRAILERS_MAX);
    buf_init(&s->head, HEAD_OUT_MAX);
    buf_init(&s->out, H2_ANSWER_MAX + H2_FRAMED_MAX);
    list_push(&h2->streams, &s->node);
    h2->count++;
    return s;
}

void h2_stream_free(struct h2_stream *s)
{
    task_cancel(&s->wake);
    h2_request_free(s->request);
    body_done(&s->body);
    buf_done(&s->in);
    buf_done(&s->data);
    buf_done(&s->trailers);
    buf_done(&s->head);
    buf_done(&s->out);
    free(s);
}

static void refuse(struct h2_stream *s, unsigned status)
{
    struct http_head h = {.status = (uint16_t)status};

    s->has_head = s->has_answer_end = s->is_end_sent = true;
    submit_head(s, &h, false);
}

void h2_stream_begin(struct h2_stream *s)
{
    enum h2_framing framing = H2_NO_BODY;
    unsigned refused = h2_request_head(s->request, !s->has_request_end, &s->in, &framing);

    s->framing = (uint8_t)framing;
    s->is_head_request = str_is(s->request->method, "HEAD");
    h2_request_free(s->request);
    s->request = NULL;
    if (refused != 0) {
        refuse(s, refused);
        return;
    }
    s->is_adopted = true;
    http_server_adopt_over(s->h2->server->server, &s->transport, s->h2->stream_tag);
}

void h2_stream_take(struct h2_stream *s, struct str data)
{
    if (!s->is_adopted || s->has_answer_end) { /* nobody reads it any more */
        consumed(s, data.len);
        return;
    }
    buf_add_str(&s->data, data);
    if (!buf_ok(&s->data)) {
        ignore(nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                         NGHTTP2_INTERNAL_ERROR)); /* no memory */
        h2_later(s->h2);
    }
    wake(s);
}

void h2_stream_request_end(struct h2_stream *s)
{
    s->has_request_end = true;
    wake(s);
}

void h2_stream_closed(struct h2_stream *s)
{
    if (s->h2 != NULL) {
        consumed(s, s->data.len);
        list_remove(&s->node);
        s->h2->count--;
        s->h2 = NULL;
    }
    buf_done(&s->data);
    if (!s->is_adopted) {
        h2_stream_free(s);
        return;
    }
    s->is_reset = true;
    wake(s);
}

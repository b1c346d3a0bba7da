/* SPDX-License-Identifier: Apache-2.0 */
/* See websocket.h. Used by worker/. */
#include "http/websocket.h"

#include <errno.h>

#include "base/digest.h"
#include "base/id.h"
#include "io/stream.h"

enum {
    IN_MAX = 256 << 10,
    PIECE = 8 << 10, /* masked at a time */
    KEY_SIZE = 16,
    KEY_TEXT = 24, /* of the key in base64 */
    ACCEPT_TEXT = 28,
};

enum state {
    WS_SHAKING,
    WS_OPEN,
    WS_LEAVING, /* our close frame is out */
    WS_OVER,    /* on_close was called, or is about to be */
};

struct websocket {
    struct loop *loop;
    struct http_conn *conn; /* NULL after the handshake */
    struct stream stream;
    enum state state;
    char key[KEY_TEXT + 1];
    const struct websocket_events *events;
    void *ctx;
    struct timer timer; /* the handshake's deadline, then that of leaving */
    struct task fail_soon;
    unsigned code;
    struct err err;

    struct ws_order order;
    struct ws_frame frame;
    uint64_t left; /* of the frame's payload; meaningful in a frame */
    bool is_in_frame, is_text, is_paused;
    struct buf message; /* of the frames of one */
    struct buf control; /* payload of a control frame, which may come amid a message */
    bool *is_gone;      /* set when it is freed in a callback */
};

static const struct stream_events stream_events;

void websocket_free(struct websocket *w)
{
    if (w == NULL)
        return;
    if (w->is_gone != NULL)
        *w->is_gone = true;
    timer_stop(&w->timer);
    task_cancel(&w->fail_soon);
    http_conn_free(w->conn);
    stream_close(&w->stream);
    buf_done(&w->message);
    buf_done(&w->control);
    free(w);
}

/* The last callback. */
static void close_with(struct websocket *w, unsigned code, const struct err *err)
{
    w->state = WS_OVER;
    timer_stop(&w->timer);
    task_cancel(&w->fail_soon);
    w->events->on_close(w->ctx, code, err);
}

static void fail(struct websocket *w, enum err_kind kind, const char *why)
{
    struct err err = {0};

    err_set(&err, kind, "%s", why);
    close_with(w, WS_ABNORMAL, &err);
}

static void on_fail_soon(void *ctx)
{
    struct websocket *w = ctx;

    if (w->state != WS_OVER)
        close_with(w, WS_ABNORMAL, &w->err);
}

/* From inside a call of ours, or of the client's: the callback comes from the loop. */
static void fail_soon(struct websocket *w, const struct err *err)
{
    w->err = *err;
    task_defer(w->loop, &w->fail_soon, on_fail_soon, w);
}

bool websocket_is_open(const struct websocket *w)
{
    return w->state == WS_OPEN;
}

static bool send_frame(struct websocket *w, uint8_t opcode, struct str data)
{
    uint8_t head[WS_HEAD_MAX], mask[WS_MASK];
    char piece[PIECE];
    bool may_go_on;
    size_t size;

    id_random(mask, sizeof(mask));
    size = ws_frame_put(opcode, data.len, mask, head);
    may_go_on = stream_write(&w->stream, (struct str){(const char *)head, size});
    for (size_t at = 0; at < data.len;) {
        struct str part = str_upto(str_from(data, at), PIECE);

        memcpy(piece, part.at, part.len);
        ws_mask(piece, part.len, mask, at);
        may_go_on = stream_write(&w->stream, (struct str){piece, part.len});
        at += part.len;
    }
    return may_go_on;
}

bool websocket_send(struct websocket *w, bool is_text, struct str data)
{
    return w->state == WS_OPEN && send_frame(w, is_text ? WS_TEXT : WS_BINARY, data);
}

void websocket_ping(struct websocket *w)
{
    if (w->state == WS_OPEN)
        ignore(send_frame(w, WS_PING, (struct str){0})); /* one that is stuck is told by silence */
}

static void on_left(void *ctx)
{
    fail(ctx, ERR_TIMEOUT, "the peer does not close");
}

void websocket_leave(struct websocket *w, enum ws_code code, uint64_t wait_ms)
{
    char bytes[2] = {(char)(code >> 8), (char)code};
    struct err err = {0};

    if (w->state == WS_SHAKING) {
        err_set(&err, ERR_UNAVAILABLE, "closed before it was open");
        fail_soon(w, &err);
        return;
    }
    if (w->state != WS_OPEN)
        return;
    w->state = WS_LEAVING;
    ignore(send_frame(w, WS_CLOSE, (struct str){bytes, sizeof(bytes)})); /* the last anyway */
    timer_start(w->loop, &w->timer, wait_ms, on_left, w);
}

void websocket_pause(struct websocket *w)
{
    w->is_paused = true;
    if (w->state == WS_OPEN)
        stream_pause(&w->stream);
}

void websocket_resume(struct websocket *w)
{
    w->is_paused = false;
    if (w->state == WS_OPEN)
        stream_resume(&w->stream);
}

/* What the peer did wrong; it is told, and not waited for. */
static void refuse(struct websocket *w, enum ws_code code)
{
    char bytes[2] = {(char)(code >> 8), (char)code};

    if (w->state == WS_OPEN)
        ignore(send_frame(w, WS_CLOSE, (struct str){bytes, sizeof(bytes)})); /* the last anyway */
    fail(w, code == WS_TOO_LARGE ? ERR_LIMIT : ERR_INVALID,
         code == WS_TOO_LARGE
             ? "a message is too large"
             : (code == WS_NOT_UTF8 ? "a text is not UTF-8" : "what came is no WebSocket frame"));
}

static void on_close_frame(struct websocket *w)
{
    const uint8_t *at = (const uint8_t *)w->control.at;
    unsigned code = WS_NO_CODE;

    if (w->control.len >= 2)
        code = (unsigned)at[0] << 8 | at[1];
    if (w->control.len == 1 || (w->control.len >= 2 && !ws_code_is_good(code))) {
        refuse(w, WS_PROTOCOL);
        return;
    }
    if (w->state == WS_OPEN)
        ignore(send_frame(w, WS_CLOSE, str_upto(buf_str(&w->control), 2))); /* the last anyway */
    close_with(w, code, NULL);
}

static void on_control(struct websocket *w)
{
    if (w->frame.opcode == WS_CLOSE) {
        on_close_frame(w);
        return;
    }
    if (w->frame.opcode == WS_PING && w->state == WS_OPEN)
        ignore(send_frame(w, WS_PONG, buf_str(&w->control))); /* small */
    buf_clear(&w->control);
}

static void on_message(struct websocket *w)
{
    struct buf message = w->message;

    buf_init(&w->message, WS_MESSAGE_MAX);
    if (w->is_text && !utf8_valid(buf_str(&message)))
        refuse(w, WS_NOT_UTF8);
    else if (w->state == WS_OPEN)
        w->events->on_message(w->ctx, w->is_text, buf_str(&message));
    buf_done(&message);
}

/* False: more bytes are needed, or it is over. */
static bool take_head(struct websocket *w)
{
    enum ws_code code;
    ssize_t used = ws_frame_head(buf_str(&w->stream.in), &w->order, &w->frame, &code);

    if (used < 0 || (used > 0 && w->frame.is_masked)) {
        refuse(w, used < 0 ? code : WS_PROTOCOL);
        return false;
    }
    if (used == 0)
        return false;
    stream_consume(&w->stream, (size_t)used);
    w->is_in_frame = true;
    w->left = w->frame.length;
    if (w->frame.opcode == WS_TEXT || w->frame.opcode == WS_BINARY)
        w->is_text = w->frame.opcode == WS_TEXT;
    if (w->events->on_alive != NULL)
        w->events->on_alive(w->ctx);
    return true;
}

static bool take_payload(struct websocket *w)
{
    bool is_control = w->frame.opcode >= WS_CLOSE;
    struct buf *to = is_control ? &w->control : &w->message;
    struct str part = str_upto(buf_str(&w->stream.in), w->left < IN_MAX ? w->left : IN_MAX);

    buf_add_str(to, part);
    if (!buf_ok(to)) {
        refuse(w, WS_TOO_LARGE);
        return false;
    }
    w->left -= part.len;
    stream_consume(&w->stream, part.len);
    if (w->left > 0)
        return false;
    w->is_in_frame = false;
    if (is_control)
        on_control(w);
    else if (w->frame.is_final)
        on_message(w);
    return true;
}

static void on_data(void *ctx)
{
    struct websocket *w = ctx;
    bool is_gone = false;

    w->is_gone = &is_gone;
    while (!is_gone && w->state != WS_OVER && !w->is_paused &&
           (w->is_in_frame ? take_payload(w) : take_head(w)))
        continue;
    if (is_gone)
        return;
    w->is_gone = NULL;
    if (!w->is_paused && w->state != WS_OVER && (w->stream.eof || w->stream.hung))
        fail(w, ERR_UNAVAILABLE, "the peer closed the connection");
}

static void on_drain(void *ctx)
{
    struct websocket *w = ctx;

    if (w->state == WS_OPEN && w->events->on_drain != NULL)
        w->events->on_drain(w->ctx);
}

static void on_stream_fail(void *ctx)
{
    struct websocket *w = ctx;
    struct err err = {0};

    err_sys(&err, w->stream.sys, "connection");
    if (w->state != WS_OVER)
        close_with(w, WS_ABNORMAL, &err);
}

static const struct stream_events stream_events = {on_data, on_drain, on_stream_fail, IN_MAX,
                                                   WS_OUT_MAX};

static bool is_accepted(const struct websocket *w, const struct http_head *h)
{
    uint8_t digest[SHA1_SIZE];
    struct buf text;
    bool is_so;

    buf_init(&text, KEY_TEXT + 64);
    buf_add_text(&text, w->key);
    buf_add_text(&text, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"); /* RFC 6455 section 1.3 */
    sha1_of(buf_str(&text), digest);
    buf_clear(&text);
    base64_encode(&text, digest, sizeof(digest));
    is_so = str_eq(http_field(h, "Sec-WebSocket-Accept"), buf_str(&text));
    buf_done(&text);
    return is_so && http_has_token(h, "Upgrade", "websocket");
}

static void open_stream(struct websocket *w)
{
    struct buf rest = {0};
    struct err err = {0};

    if (http_conn_has_transport(w->conn)) {
        struct transport *t = http_conn_detach_over(w->conn, &rest);

        w->conn = NULL;
        if (t == NULL)
            err_set(&err, ERR_UNAVAILABLE, "the peer closed the connection");
        else
            stream_open_over(&w->stream, t, &stream_events, w);
    } else {
        int fd = http_conn_detach(w->conn, &rest);

        w->conn = NULL;
        if (fd < 0)
            err_set(&err, ERR_UNAVAILABLE, "the peer closed the connection");
        else
            ignore(stream_open(&w->stream, w->loop, fd, false, &stream_events, w, &err));
    }
    if (err.kind != ERR_NONE) {
        buf_done(&rest);
        close_with(w, WS_ABNORMAL, &err);
        return;
    }
    stream_pause(&w->stream);
    buf_add_str(&w->stream.in, buf_str(&rest));
    buf_done(&rest);
    stream_resume(&w->stream); /* and looks at what came behind the head */
    w->state = WS_OPEN;
    timer_stop(&w->timer);
    w->events->on_open(w->ctx);
}

static void on_head(void *ctx, const struct http_head *h)
{
    struct websocket *w = ctx;
    struct err err = {0};

    if (h->status == 101 && is_accepted(w, h) &&
        http_field(h, "Sec-WebSocket-Extensions").len == 0 &&
        http_field(h, "Sec-WebSocket-Protocol").len == 0) {
        open_stream(w);
        return;
    }
    if (h->status == 101)
        err_set(&err, ERR_INVALID, "what answered speaks no WebSocket");
    else
        err_set(&err, h->status == 401 || h->status == 403 ? ERR_DENIED : ERR_UNAVAILABLE,
                "no WebSocket there: it answered %u", h->status);
    fail_soon(w, &err);
}

static size_t on_body(void *ctx, struct str data, bool is_last)
{
    ignore(ctx == NULL || is_last); /* of an answer that was refused */
    return data.len;
}

static void on_client_drain(void *ctx)
{
    ignore(ctx == NULL); /* the request has no body */
}

static void on_client_fail(void *ctx, const struct err *err, bool is_fresh)
{
    ignore(is_fresh);
    fail_soon(ctx, err);
}

static void on_late(void *ctx)
{
    fail(ctx, ERR_TIMEOUT, "no answer to the handshake in time");
}

static void make_key(struct websocket *w)
{
    uint8_t bytes[KEY_SIZE];
    struct buf text;

    id_random(bytes, sizeof(bytes));
    buf_init(&text, KEY_TEXT);
    base64_encode(&text, bytes, sizeof(bytes));
    ignore(str_to_c(buf_str(&text), w->key, sizeof(w->key))); /* it fits */
    buf_done(&text);
}

static void shake_hands(struct websocket *w, const struct websocket_spec *spec)
{
    static const struct call_events events = {on_head, on_body, on_client_drain, on_client_fail};
    struct http_field fields[WS_FIELDS_MAX + 3] = {
        {STR("Host"),                  spec->host    },
        {STR("Sec-WebSocket-Key"),     str_of(w->key)},
        {STR("Sec-WebSocket-Version"), STR("13")     },
    };
    struct call_request r = {
        .method = STR("GET"),
        .target = spec->target,
        .fields = fields,
        .field_count = 3,
        .is_upgrade = true,
        .upgrade = STR("websocket"),
    };

    for (size_t i = 0; i < spec->field_count && i < WS_FIELDS_MAX; i++)
        fields[r.field_count++] = spec->fields[i];
    http_conn_call(w->conn, &r, &events, w);
    http_conn_end(w->conn);
}

struct websocket *websocket_new(struct loop *l, const struct websocket_spec *spec,
                                const struct websocket_events *events, void *ctx)
{
    struct websocket *w = mem_zero(sizeof(*w));

    w->loop = l;
    w->conn = spec->conn;
    w->stream.fd = -1;
    w->events = events;
    w->ctx = ctx;
    buf_init(&w->message, WS_MESSAGE_MAX);
    buf_init(&w->control, WS_CONTROL_MAX);
    make_key(w);
    timer_start(l, &w->timer, WS_SHAKE_MS, on_late, w);
    shake_hands(w, spec);
    return w;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* ZMTP's bytes: the greeting, the handshake, frames. The user is jupyter.c. */
#include "interpreter/zmtp.h"

#include <errno.h>
#include <sys/socket.h>

#include "io/socket.h"

enum {
    GREETING = 64,
    VERSION_AT = 10, /* the major one */
    MECHANISM_AT = 12,
    FRAME_MORE = 1,
    FRAME_LONG = 2,
    FRAME_COMMAND = 4,
    COMMAND_MAX = 1024,
    SHORT_MAX = 255,
    IN_MAX = 256 << 10,
    OUT_MAX = ZMTP_MESSAGE_MAX + (1 << 20),
};

enum state {
    WAIT_GREETING,
    WAIT_READY,
    WAIT_HEAD,
    WAIT_BODY,
};

/* A step says how many bytes it took; 0: more are needed; NONE: the peer is not what it should be.
 */
static const size_t NONE = SIZE_MAX;

static void fail(struct zmtp *z, const char *why)
{
    z->events->on_fail(z->ctx, why);
}

static size_t read_greeting(struct zmtp *z, struct str in)
{
    const unsigned char *at = (const unsigned char *)in.at;

    if (in.len < GREETING)
        return 0;
    if (at[0] != 0xff || (at[9] & 1) == 0 || at[VERSION_AT] < 3 ||
        memcmp(at + MECHANISM_AT, "NULL", 5) != 0)
        return NONE;
    z->state = WAIT_READY;
    return GREETING;
}

/* The size that a frame's head tells, and how long the head is; 0: more bytes are needed. */
static size_t frame_head(struct str in, uint8_t *out_flags, uint64_t *out_size)
{
    const unsigned char *at = (const unsigned char *)in.at;
    uint64_t size = 0;

    if (in.len < 2 || ((at[0] & FRAME_LONG) != 0 && in.len < 9))
        return 0;
    *out_flags = at[0];
    if ((at[0] & FRAME_LONG) == 0) {
        *out_size = at[1];
        return 2;
    }
    for (int i = 1; i < 9; i++)
        size = size << 8 | at[i];
    *out_size = size;
    return 9;
}

static size_t read_command(struct zmtp *z, struct str in)
{
    uint8_t flags;
    uint64_t size;
    size_t head = frame_head(in, &flags, &size);
    struct str body;

    if (head == 0)
        return 0;
    if ((flags & FRAME_COMMAND) == 0 || size > COMMAND_MAX)
        return NONE;
    if (in.len < head + size)
        return 0;
    body = str_upto(str_from(in, head), (size_t)size);
    if (z->state == WAIT_READY) {
        if (!str_has_prefix(body, "\5READY"))
            return NONE;
        z->state = WAIT_HEAD;
        ignore(stream_write(&z->stream, buf_str(&z->early))); /* a failure is told by on_fail */
        buf_done(&z->early);
        if (z->events->on_open != NULL)
            z->events->on_open(z->ctx);
    }
    return head + (size_t)size;
}

static void reset_message(struct zmtp *z)
{
    buf_done(&z->message);
    z->frames = 0;
    z->is_dropping = false;
}

static void deliver(struct zmtp *z)
{
    struct str frames[ZMTP_FRAMES_MAX];
    struct str all = buf_str(&z->message);
    size_t from = 0, count = z->frames;

    if (z->is_dropping) {
        reset_message(z);
        z->events->on_dropped(z->ctx);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        frames[i] = str_upto(str_from(all, from), z->ends[i] - from);
        from = z->ends[i];
    }
    z->events->on_message(z->ctx, frames, count);
}

static void end_frame(struct zmtp *z)
{
    struct stream *s = &z->stream;

    z->state = WAIT_HEAD;
    if (!z->is_dropping)
        z->ends[z->frames++] = z->message.len;
    if ((z->flags & FRAME_MORE) != 0)
        return;
    deliver(z);
    if (s->fd >= 0 && !z->is_dropping)
        reset_message(z);
}

static size_t read_head(struct zmtp *z, struct str in)
{
    size_t head = frame_head(in, &z->flags, &z->left);

    if (head == 0)
        return 0;
    if ((z->flags & FRAME_COMMAND) != 0)
        return read_command(z, in);
    if (z->frames == ZMTP_FRAMES_MAX || z->left > buf_left(&z->message))
        z->is_dropping = true;
    if (z->is_dropping)
        buf_done(&z->message);
    z->state = WAIT_BODY;
    return head;
}

static size_t read_body(struct zmtp *z, struct str in)
{
    size_t len = in.len < z->left ? in.len : (size_t)z->left;

    if (!z->is_dropping)
        buf_add(&z->message, in.at, len);
    z->left -= len;
    return len;
}

static size_t (*const steps[])(struct zmtp *z, struct str in) = {
    [WAIT_GREETING] = read_greeting,
    [WAIT_READY] = read_command,
    [WAIT_HEAD] = read_head,
    [WAIT_BODY] = read_body,
};

static void on_data(void *ctx)
{
    struct zmtp *z = ctx;
    struct stream *s = &z->stream;
    size_t len;

    while (s->fd >= 0 && !z->is_paused) {
        len = steps[z->state](z, buf_str(&s->in));
        if (s->fd < 0)
            return; /* on_open closed it */
        if (len == NONE) {
            fail(z, "it does not speak ZMTP 3 with the NULL mechanism");
            return;
        }
        stream_consume(s, len);
        if (z->state == WAIT_BODY && z->left == 0)
            end_frame(z);
        else if (len == 0)
            break;
    }
    if (s->fd >= 0 && !z->is_paused && (s->eof || s->hung))
        fail(z, "it has closed the connection");
}

static void on_fail(void *ctx)
{
    fail(ctx, "the connection is broken");
}

static void greet(struct zmtp *z)
{
    static const char *const kinds[] = {[ZMTP_DEALER] = "DEALER", [ZMTP_SUB] = "SUB"};
    static const char property[] = "\5READY\13Socket-Type";
    const char *kind = kinds[z->kind];
    unsigned char greeting[GREETING] = {[0] = 0xff, [9] = 0x7f, [VERSION_AT] = 3};
    unsigned char head[2] = {FRAME_COMMAND}, value[4] = {0};
    struct str parts[] = {
        {(const char *)greeting, sizeof(greeting)    },
        {(const char *)head,     sizeof(head)        },
        {property,               sizeof(property) - 1},
        {(const char *)value,    sizeof(value)       },
        str_of(kind)
    };

    memcpy(greeting + MECHANISM_AT, "NULL", 4);
    value[3] = (unsigned char)strlen(kind);
    head[1] = (unsigned char)(sizeof(property) - 1 + sizeof(value) + strlen(kind));
    ignore(stream_writev(&z->stream, parts, COUNT_OF(parts))); /* a failure is told by on_fail */
    if (z->kind == ZMTP_SUB) {
        const struct str all = {"\1", 1};

        zmtp_send(z, &all, 1);
    }
}

int zmtp_open(struct zmtp *z, struct loop *l, const char *path, enum zmtp_kind kind,
              const struct zmtp_events *events, void *ctx, struct err *err)
{
    static const struct stream_events stream_events = {
        .on_data = on_data, .on_fail = on_fail, .in_max = IN_MAX, .out_max = OUT_MAX};
    int fd;

    *z = (struct zmtp){.events = events, .ctx = ctx, .kind = kind, .stream.fd = -1};
    if (socket_connect_unix(path, SOCK_STREAM, &fd, err) != 0)
        return -1;
    buf_init(&z->message, ZMTP_MESSAGE_MAX);
    buf_init(&z->early, ZMTP_MESSAGE_MAX);
    if (stream_open(&z->stream, l, fd, false, &stream_events, z, err) != 0)
        return -1;
    greet(z);
    return 0;
}

void zmtp_close(struct zmtp *z)
{
    if (z->events == NULL)
        return;
    stream_close(&z->stream);
    z->stream.fd = -1;
    buf_done(&z->message);
    buf_done(&z->early);
}

void zmtp_send(struct zmtp *z, const struct str *frames, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t size = frames[i].len;
        bool is_long = size > SHORT_MAX;
        unsigned char head[9] = {(i + 1 < count ? FRAME_MORE : 0) | (is_long ? FRAME_LONG : 0)};
        struct str parts[] = {
            {(const char *)head, is_long ? 9 : 2},
            frames[i]
        };
        bool is_early = z->state < WAIT_HEAD;

        head[1] = (unsigned char)size;
        for (int at = 8; is_long && at > 0; at--, size >>= 8)
            head[at] = (unsigned char)size;
        if (is_early) {
            buf_add_str(&z->early, parts[0]);
            buf_add_str(&z->early, parts[1]);
            continue;
        }
        ignore(stream_writev(&z->stream, parts, COUNT_OF(parts))); /* told by on_fail */
    }
}

void zmtp_pause(struct zmtp *z, bool is_paused)
{
    if (z->events == NULL || z->stream.fd < 0 || z->is_paused == is_paused)
        return;
    z->is_paused = is_paused;
    if (is_paused)
        stream_pause(&z->stream);
    else
        stream_resume(&z->stream);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies on the wire, both ways. Called by exchange.c, answer.c, client.c and call.c. */
#include <assert.h>

#include "http/body_internal.h"

void body_init(struct body *b, const struct http_head *h)
{
    body_done(b);
    *b = (struct body){.framing = h->framing, .left = h->body_length};
    b->chunks.trailers = &b->trailers;
    b->is_done = h->framing == HTTP_NO_BODY || (h->framing == HTTP_LENGTH && h->body_length == 0);
}

void body_done(struct body *b)
{
    buf_done(&b->trailers);
}

/* Framing bytes are skipped until there is a run of payload or the input ends. */
static ssize_t next_of_chunks(struct body *b, struct str in, struct str *data)
{
    size_t used = 0;

    do {
        ssize_t n = http_chunks_next(&b->chunks, str_from(in, used), data);

        if (n < 0)
            return -1;
        if (n == 0)
            break;
        used += (size_t)n;
        b->is_done = b->chunks.is_done;
    } while (data->len == 0 && !b->is_done);
    return (ssize_t)used;
}

ssize_t body_next(struct body *b, struct str in, struct str *data)
{
    *data = (struct str){in.at, 0};
    if (b->is_done || in.len == 0)
        return 0;
    if (b->framing == HTTP_CHUNKED)
        return next_of_chunks(b, in, data);
    *data = in;
    if (b->framing == HTTP_LENGTH) {
        *data = str_upto(in, b->left > in.len ? in.len : (size_t)b->left);
        b->left -= data->len;
        b->is_done = b->left == 0;
    }
    return (ssize_t)data->len;
}

void body_give_back(struct body *b, size_t len)
{
    if (len == 0)
        return;
    if (b->framing == HTTP_CHUNKED)
        b->chunks.left += len;
    else if (b->framing == HTTP_LENGTH)
        b->left += len;
    b->is_done = false;
}

ssize_t body_skip(struct body *b, struct stream *s)
{
    ssize_t dropped = 0;

    while (!b->is_done && s->in.len > 0) {
        struct str data;
        ssize_t used = body_next(b, buf_str(&s->in), &data);

        if (used < 0)
            return -1;
        dropped += (ssize_t)data.len;
        stream_consume(s, (size_t)used);
    }
    return dropped;
}

void outbox_init(struct outbox *o, struct stream *s)
{
    *o = (struct outbox){.stream = s};
    buf_init(&o->hold, HOLD_MAX);
}

void outbox_done(struct outbox *o)
{
    buf_done(&o->hold);
}

size_t outbox_unsent(const struct outbox *o)
{
    return o->hold.len + stream_unsent(o->stream);
}

static size_t size_of(const struct str *parts, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++)
        size += parts[i].len;
    return size;
}

bool outbox_send(struct outbox *o, const struct str *parts, size_t count)
{
    struct str all[OUTBOX_PARTS + 1] = {buf_str(&o->hold)};
    bool may_go_on;

    assert(count <= OUTBOX_PARTS);
    for (size_t i = 0; i < count; i++)
        all[i + 1] = parts[i];
    o->total += size_of(parts, count);
    may_go_on = stream_writev(o->stream, all, count + 1);
    buf_done(&o->hold);
    return may_go_on;
}

bool outbox_put(struct outbox *o, const struct str *parts, size_t count)
{
    size_t size = size_of(parts, count);

    /* What cannot leave now anyway gains nothing by waiting here. */
    if (stream_unsent(o->stream) > 0 || size > buf_left(&o->hold) ||
        buf_room(&o->hold, size) == NULL) {
        o->hold.failed = false; /* no memory to wait in: go at once */
        return outbox_send(o, parts, count);
    }
    for (size_t i = 0; i < count; i++)
        buf_add_str(&o->hold, parts[i]);
    o->total += size;
    return true;
}

void outbox_flush(struct outbox *o)
{
    if (o->hold.len > 0)
        ignore(outbox_send(o, NULL, 0)); /* the next write tells about backpressure */
}

static size_t chunk_line(size_t len, char line[20])
{
    static const char digits[] = "0123456789abcdef";
    size_t used = 0;
    unsigned shift = 0;

    while (shift < 60 && len >> (shift + 4) != 0)
        shift += 4;
    for (;; shift -= 4) {
        line[used++] = digits[len >> shift & 15];
        if (shift == 0)
            break;
    }
    line[used++] = '\r';
    line[used++] = '\n';
    return used;
}

bool sink_write(struct sink *k, struct outbox *o, struct str data)
{
    char line[20];
    struct str parts[3] = {
        {line,   0},
        data, {"\r\n", 2}
    };

    if (k->framing == HTTP_LENGTH) {
        data = str_upto(data, k->left > data.len ? data.len : (size_t)k->left);
        k->left -= data.len;
    }
    if (data.len == 0 || k->framing == HTTP_NO_BODY)
        return stream_unsent(o->stream) <= STREAM_HIGH;
    if (k->framing != HTTP_CHUNKED)
        return outbox_put(o, &data, 1);
    parts[0].len = chunk_line(data.len, line);
    return outbox_put(o, parts, COUNT_OF(parts));
}

int sink_end(struct sink *k, struct outbox *o, struct str trailers)
{
    const struct str end[] = {STR("0\r\n"), trailers, STR("\r\n")};

    if (k->framing == HTTP_LENGTH && k->left > 0)
        return -1;
    if (k->framing == HTTP_CHUNKED)
        ignore(outbox_put(o, end, COUNT_OF(end))); /* nothing more follows */
    k->framing = HTTP_NO_BODY;
    return 0;
}

bool http_is_ours(struct str name)
{
    switch (name.len) {
    case 10: return str_ieq(name, STR("connection")) || str_ieq(name, STR("keep-alive"));
    case 14: return str_ieq(name, STR("content-length"));
    case 17: return str_ieq(name, STR("transfer-encoding"));
    default: return false;
    }
}

void http_put_fields(struct buf *out, const struct http_field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!http_is_ours(fields[i].name))
            http_put_field(out, fields[i].name, fields[i].value);
    }
}

bool http_is_head_likely(struct str in, size_t seen)
{
    return in.len > seen &&
           (seen == 0 || in.len >= HTTP_HEAD_MAX || str_find(str_from(in, seen), '\n') >= 0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Struct to protobuf (proto3), in the order of the table. Called through codec.h by whoever
 * answers in protobuf. */
#include "base/digest.h"
#include "codec/codec_internal.h"
#include "codec/proto_internal.h"

enum {
    VARINT_MAX = 10, /* bytes */
};

static void encode_body(const struct codec_message *m, const void *in, struct buf *out,
                        unsigned depth);

static size_t put_varint(uint64_t value, uint8_t *out)
{
    size_t len = 0;

    while (value >= 0x80) {
        out[len++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[len++] = (uint8_t)value;
    return len;
}

static void add_varint(struct buf *out, uint64_t value)
{
    uint8_t bytes[VARINT_MAX];

    buf_add(out, bytes, put_varint(value, bytes));
}

static void add_tag(struct buf *out, uint32_t number, enum wire wire)
{
    add_varint(out, (uint64_t)number << 3 | (uint64_t)wire);
}

static void add_text(struct buf *out, uint32_t number, struct str text)
{
    add_tag(out, number, WIRE_LEN);
    add_varint(out, text.len);
    buf_add_str(out, text);
}

/* A length is one byte until its part is complete; then the part moves if it needs more. Each byte
 * moves at most once per level, and levels are bounded. */
static size_t part_open(struct buf *out)
{
    buf_add_byte(out, 0);
    return out->len;
}

static void part_close(struct buf *out, size_t from)
{
    uint8_t bytes[VARINT_MAX];
    size_t len, part;

    if (!buf_ok(out))
        return;
    part = out->len - from;
    len = put_varint(part, bytes);
    if (len > 1) {
        if (buf_room(out, len - 1) == NULL)
            return;
        buf_fill(out, len - 1);
        memmove(out->at + from + len - 1, out->at + from, part);
    }
    memcpy(out->at + from - 1, bytes, len);
}

static uint64_t load_number(const struct codec_field *f, const void *at)
{
    switch (f->type) {
    case CODEC_BOOL: return *(const bool *)at;
    case CODEC_UINT32: return *(const uint32_t *)at;
    case CODEC_SINT32: {
        int32_t value = *(const int32_t *)at;

        return (uint32_t)value << 1 ^ (value < 0 ? UINT32_MAX : 0);
    }
    case CODEC_INT32:
    case CODEC_ENUM: return (uint64_t)(int64_t) * (const int32_t *)at;
    default: return *(const uint64_t *)at;
    }
}

static void add_number(const struct codec_field *f, const void *at, struct buf *out)
{
    uint64_t value = load_number(f, at);
    uint8_t bytes[8];

    if (f->type != CODEC_DOUBLE) {
        add_varint(out, value);
        return;
    }
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(value >> (8 * i));
    buf_add(out, bytes, sizeof(bytes));
}

static void add_time(struct buf *out, uint32_t number, const struct codec_time *t)
{
    uint8_t body[2 * (VARINT_MAX + 1)];
    size_t len = 0;

    if (t->seconds != 0) {
        body[len++] = 1 << 3 | WIRE_VARINT;
        len += put_varint((uint64_t)t->seconds, body + len);
    }
    if (t->nanos != 0) {
        body[len++] = 2 << 3 | WIRE_VARINT;
        len += put_varint(t->nanos, body + len);
    }
    add_text(out, number, (struct str){(const char *)body, len});
}

/* Receivers refuse a string that is not UTF-8, and the message with it. */
static void add_string(struct buf *out, uint32_t number, struct str text)
{
    size_t from;

    if (utf8_valid(text)) {
        add_text(out, number, text);
        return;
    }
    add_tag(out, number, WIRE_LEN);
    from = part_open(out);
    while (text.len > 0) {
        size_t len = utf8_first(text);

        if (len > 0)
            buf_add(out, text.at, len);
        else
            buf_add_text(out, "\xef\xbf\xbd");
        text = str_from(text, len > 0 ? len : 1);
    }
    part_close(out, from);
}

static void add_pair(struct buf *out, uint32_t number, const struct codec_pair *pair)
{
    size_t from;

    add_tag(out, number, WIRE_LEN);
    from = part_open(out);
    add_string(out, 1, pair->key);
    add_string(out, 2, pair->value);
    part_close(out, from);
}

static void add_message(const struct codec_field *f, const void *at, struct buf *out,
                        unsigned depth)
{
    size_t from;

    add_tag(out, f->number, WIRE_LEN);
    from = part_open(out);
    if (at != NULL) /* presence alone may say that it is there */
        encode_body(f->sub, at, out, depth + 1);
    part_close(out, from);
}

/* One value, tag and all; of a list: one element. A message is given by its address. */
static void encode_value(const struct codec_field *f, const void *at, struct buf *out,
                         unsigned depth)
{
    switch (f->type) {
    case CODEC_STRING: add_string(out, f->number, *(const struct str *)at); break;
    case CODEC_BYTES: add_text(out, f->number, *(const struct str *)at); break;
    case CODEC_TIMESTAMP: add_time(out, f->number, at); break;
    case CODEC_MAP: add_pair(out, f->number, at); break;
    case CODEC_MESSAGE: add_message(f, at, out, depth); break;
    default:
        add_tag(out, f->number, wire_of(f->type));
        add_number(f, at, out);
        break;
    }
}

static void encode_list(const struct codec_field *f, const struct codec_list *list, struct buf *out,
                        unsigned depth)
{
    const char *items = list->items;
    size_t size = field_item_size(f);
    size_t from;

    if (list->count == 0)
        return;
    if (wire_of(f->type) == WIRE_LEN) {
        for (size_t i = 0; i < list->count; i++)
            encode_value(f, items + i * size, out, depth);
        return;
    }
    add_tag(out, f->number, WIRE_LEN);
    from = part_open(out);
    for (size_t i = 0; i < list->count; i++)
        add_number(f, items + i * size, out);
    part_close(out, from);
}

static void encode_body(const struct codec_message *m, const void *in, struct buf *out,
                        unsigned depth)
{
    if (depth >= CODEC_DEPTH_MAX) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < m->field_count; i++) {
        const struct codec_field *f = &m->fields[i];
        const void *at = field_of(f, in);

        if (type_is_json_only(f->type) || !field_is_set(f, in))
            continue;
        if (field_is_list(f))
            encode_list(f, at, out, depth);
        else if (f->type == CODEC_MESSAGE)
            encode_value(f, *(void *const *)at, out, depth);
        else
            encode_value(f, at, out, depth);
    }
}

void proto_encode(const struct codec_message *m, const void *in, struct buf *out)
{
    encode_body(m, in, out, 0);
}

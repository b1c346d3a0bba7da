/* SPDX-License-Identifier: Apache-2.0 */
/* Protobuf (proto3) to struct: https://protobuf.dev/programming-guides/encoding. Called through
 * codec.h by whoever takes protobuf from outside. */
#include "base/digest.h"
#include "codec/codec_internal.h"
#include "codec/proto_internal.h"

enum {
    FIELD_NUMBER_MAX = (1 << 29) - 1,
    VARINT_MAX = 10, /* bytes */
};

struct proto_in {
    const uint8_t *at, *end, *start;
    struct arena *arena;
    struct err *err;
    bool has_map; /* maps are settled once, when all is decoded: see settle() */
    struct codec_trail trail;
};

static int decode_body(struct proto_in *in, const struct codec_message *m, void *out);

static int wrong(struct proto_in *in, const char *text)
{
    return trail_fail(&in->trail, in->err, ERR_INVALID, text);
}

static int full(struct proto_in *in)
{
    return trail_fail(&in->trail, in->err, ERR_LIMIT, "too large");
}

static int broken(struct proto_in *in, const char *what)
{
    err_set(in->err, ERR_INVALID, "%s at byte %zu", what, (size_t)(in->at - in->start));
    return -1;
}

static int take_varint(struct proto_in *in, uint64_t *out)
{
    uint64_t value = 0;

    if (in->at != in->end && *in->at < 0x80) {
        *out = *in->at++;
        return 0;
    }
    for (unsigned i = 0; i < VARINT_MAX; i++) {
        uint8_t byte;

        if (in->at == in->end)
            return broken(in, "unexpected end of input");
        byte = *in->at++;
        value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            if (i == VARINT_MAX - 1 && byte > 1)
                break;
            *out = value;
            return 0;
        }
    }
    return broken(in, "varint too long");
}

static int take_fixed(struct proto_in *in, size_t size, uint64_t *out)
{
    uint64_t value = 0;

    if ((size_t)(in->end - in->at) < size)
        return broken(in, "unexpected end of input");
    for (size_t i = 0; i < size; i++)
        value |= (uint64_t)in->at[i] << (8 * i);
    in->at += size;
    *out = value;
    return 0;
}

static int take_bytes(struct proto_in *in, struct str *out)
{
    uint64_t len;

    if (take_varint(in, &len) != 0)
        return -1;
    if (len > (size_t)(in->end - in->at))
        return broken(in, "length beyond the end of input");
    *out = (struct str){(const char *)in->at, (size_t)len};
    in->at += len;
    return 0;
}

static int take_tag(struct proto_in *in, uint32_t *out_number, enum wire *out_wire)
{
    const uint8_t *from = in->at;
    uint64_t tag;

    if (take_varint(in, &tag) != 0)
        return -1;
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX) {
        in->at = from;
        return broken(in, "bad field number");
    }
    *out_number = (uint32_t)(tag >> 3);
    *out_wire = (enum wire)(tag & 7);
    return 0;
}

static int skip_value(struct proto_in *in, enum wire wire)
{
    uint64_t number;
    struct str bytes;

    switch (wire) {
    case WIRE_VARINT: return take_varint(in, &number);
    case WIRE_64: return take_fixed(in, 8, &number);
    case WIRE_LEN: return take_bytes(in, &bytes);
    case WIRE_32: return take_fixed(in, 4, &number);
    default: return broken(in, "unsupported wire type"); /* groups (3, 4), 6 and 7 */
    }
}

/* Most text is ASCII: only what follows it is looked at closely. */
static bool is_text(struct str text)
{
    size_t plain = 0;

    while (plain < text.len && (unsigned char)text.at[plain] < 0x80)
        plain++;
    return plain == text.len || utf8_valid(str_from(text, plain));
}

static int take_text(struct proto_in *in, bool is_utf8, struct str *out)
{
    struct str bytes;

    if (take_bytes(in, &bytes) != 0)
        return -1;
    if (is_utf8 && !is_text(bytes))
        return wrong(in, "not valid UTF-8");
    bytes = arena_str(in->arena, bytes);
    if (bytes.at == NULL)
        return full(in);
    *out = bytes;
    return 0;
}

static void store_number(const struct codec_field *f, uint64_t value, void *at)
{
    uint32_t half = (uint32_t)value; /* as protobuf asks: the upper bits are cut off */

    switch (f->type) {
    case CODEC_BOOL: *(bool *)at = value != 0; break;
    case CODEC_INT32:
    case CODEC_UINT32:
    case CODEC_ENUM: *(uint32_t *)at = half; break;
    case CODEC_SINT32: *(uint32_t *)at = half >> 1 ^ (0 - (half & 1)); break;
    default: memcpy(at, &value, sizeof(value)); break; /* 64 bits, double */
    }
}

static int take_number(struct proto_in *in, const struct codec_field *f, void *at)
{
    uint64_t value;

    if ((f->type == CODEC_DOUBLE ? take_fixed(in, 8, &value) : take_varint(in, &value)) != 0)
        return -1;
    store_number(f, value, at);
    return 0;
}

/* A part of the input with its own end, decoded by `fn`. */
typedef int part_fn(struct proto_in *in, const void *context, void *out);

static int take_part(struct proto_in *in, part_fn *fn, const void *context, void *out)
{
    const uint8_t *end = in->end;
    struct str part;

    if (take_bytes(in, &part) != 0)
        return -1;
    in->end = in->at;
    in->at -= part.len;
    if (fn(in, context, out) != 0)
        return -1;
    in->end = end;
    return 0;
}

static int decode_message(struct proto_in *in, const void *context, void *out)
{
    return decode_body(in, context, out);
}

static int decode_packed(struct proto_in *in, const void *context, void *out)
{
    const struct codec_field *f = context;

    while (in->at != in->end) {
        void *item = field_add(f, out, in->arena);

        if (item == NULL)
            return full(in);
        if (take_number(in, f, item) != 0)
            return -1;
    }
    return 0;
}

static int decode_pair(struct proto_in *in, const void *context, void *out)
{
    struct codec_pair *pair = out;
    uint32_t number;
    enum wire wire;

    (void)context;
    pair->key = pair->value = STR("");
    while (in->at != in->end) {
        if (take_tag(in, &number, &wire) != 0)
            return -1;
        if (number > 2) {
            if (skip_value(in, wire) != 0)
                return -1;
            continue;
        }
        if (wire != WIRE_LEN)
            return wrong(in, "wrong wire type");
        if (take_text(in, true, number == 1 ? &pair->key : &pair->value) != 0)
            return -1;
    }
    return 0;
}

static int decode_time(struct proto_in *in, const void *context, void *out)
{
    struct codec_time *t = out;
    uint32_t number;
    enum wire wire;
    uint64_t value;

    (void)context;
    while (in->at != in->end) {
        if (take_tag(in, &number, &wire) != 0)
            return -1;
        if (number > 2) {
            if (skip_value(in, wire) != 0)
                return -1;
            continue;
        }
        if (wire != WIRE_VARINT)
            return wrong(in, "wrong wire type");
        if (take_varint(in, &value) != 0)
            return -1;
        if (number == 1)
            t->seconds = (int64_t)value;
        else
            t->nanos = (uint32_t)value;
    }
    return time_in_range(t) ? 0 : wrong(in, "time out of range");
}

static int decode_value(struct proto_in *in, const struct codec_field *f, void *at)
{
    switch (f->type) {
    case CODEC_STRING: return take_text(in, true, at);
    case CODEC_BYTES: return take_text(in, false, at);
    case CODEC_MAP: in->has_map = true; return take_part(in, decode_pair, NULL, at);
    case CODEC_TIMESTAMP: return take_part(in, decode_time, NULL, at);
    case CODEC_MESSAGE: return take_part(in, decode_message, f->sub, at);
    default: return take_number(in, f, at);
    }
}

/* A submessage that comes in parts is merged; one that replaces another of its oneof is not. */
static int decode_singular(struct proto_in *in, const struct codec_field *f, void *message)
{
    void *at = field_at(f, message);
    bool is_new = (f->flags & CODEC_ONEOF) != 0 && field_oneof(f, message) != f->number;

    if (is_new)
        memset(at, 0, f->type == CODEC_MESSAGE ? sizeof(void *) : field_item_size(f));
    if (f->type == CODEC_MESSAGE) {
        void **sub = at;

        if (*sub == NULL)
            *sub = arena_alloc(in->arena, field_item_size(f) + 1);
        if (*sub == NULL)
            return full(in);
        at = *sub;
    }
    return decode_value(in, f, at);
}

static int decode_field(struct proto_in *in, const struct codec_field *f, enum wire wire,
                        void *message)
{
    enum wire expected = wire_of(f->type);
    bool is_list = field_is_list(f);
    void *at = field_at(f, message);
    int result;

    trail_name(&in->trail, f->name,
               is_list ? (ssize_t)((struct codec_list *)at)->count : TRAIL_NO_INDEX);
    if (is_list && wire == WIRE_LEN && expected != WIRE_LEN) {
        result = take_part(in, decode_packed, f, at);
    } else if (wire != expected) {
        result = wrong(in, "wrong wire type");
    } else if (is_list) {
        void *item = field_add(f, at, in->arena);

        result = item == NULL ? full(in) : decode_value(in, f, item);
    } else {
        result = decode_singular(in, f, message);
    }
    if (result == 0)
        field_mark(f, message);
    return result;
}

static int decode_body(struct proto_in *in, const struct codec_message *m, void *out)
{
    size_t hint = 0;

    if (trail_enter(&in->trail, in->err) != 0)
        return -1;
    while (in->at != in->end) {
        const struct codec_field *f;
        uint32_t number;
        enum wire wire;

        if (take_tag(in, &number, &wire) != 0)
            return -1;
        f = field_by_number(m, number, hint);
        if (f == NULL || type_is_json_only(f->type)) {
            if (skip_value(in, wire) != 0)
                return -1;
            continue;
        }
        hint = (size_t)(f - m->fields) + !field_is_list(f);
        if (decode_field(in, f, wire, out) != 0)
            return -1;
    }
    trail_leave(&in->trail);
    return 0;
}

static int settle(struct proto_in *in, const struct codec_message *m, void *message);

static int settle_messages(struct proto_in *in, const struct codec_field *f, void *at)
{
    const struct codec_message *m = f->sub;
    struct codec_list *list = at;

    if ((f->flags & CODEC_REPEATED) == 0)
        return *(void **)at == NULL ? 0 : settle(in, m, *(void **)at);
    for (size_t i = 0; i < list->count; i++) {
        if (settle(in, m, (char *)list->items + i * m->size) != 0)
            return -1;
    }
    return 0;
}

/* In maps the last of equal keys counts. Looking for them at the end keeps the work linear even
 * when a message arrives in many parts. */
static int settle(struct proto_in *in, const struct codec_message *m, void *message)
{
    for (size_t i = 0; i < m->field_count; i++) {
        const struct codec_field *f = &m->fields[i];
        void *at = field_at(f, message);

        if (f->type == CODEC_MAP && map_settle(at, in->arena) < 0)
            return full(in);
        if (f->type == CODEC_MESSAGE && settle_messages(in, f, at) != 0)
            return -1;
    }
    return 0;
}

int proto_decode(const struct codec_message *m, struct str in, struct arena *a, void *out,
                 struct err *err)
{
    struct proto_in proto = {.arena = a, .err = err};

    proto.start = proto.at = (const uint8_t *)(in.len == 0 ? "" : in.at);
    proto.end = proto.start + in.len;
    if (decode_body(&proto, m, out) != 0)
        return -1;
    return proto.has_map ? settle(&proto, m, out) : 0;
}

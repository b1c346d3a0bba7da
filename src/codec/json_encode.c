/* SPDX-License-Identifier: Apache-2.0 */
/* Struct to JSON, in the order of the table. Called through codec.h by whoever answers in JSON. */
#include "base/clock.h"
#include "base/digest.h"
#include "codec/codec_internal.h"

/* One value of the field's type; of a list: one element. */
typedef void encode_fn(const struct codec_field *f, const void *at, struct buf *out,
                       unsigned depth);

static void encode_object(const struct codec_message *m, const void *in, struct buf *out,
                          unsigned depth);

static void add_escape(struct buf *out, char byte)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    static const char digits[] = "0123456789abcdef";
    const char *found = byte == '\0' ? NULL : strchr(from, byte);
    char text[6] = "\\u00";

    if (found != NULL) {
        text[1] = to[found - from];
        buf_add(out, text, 2);
        return;
    }
    text[4] = digits[(byte >> 4) & 1];
    text[5] = digits[byte & 15];
    buf_add(out, text, 6);
}

/* What is at the end of a run of plain bytes: an escape, a sequence of UTF-8, or a bad byte. */
static const char *add_odd(struct buf *out, const char *at, const char *end)
{
    size_t len;

    if ((unsigned char)*at < 0x80) {
        add_escape(out, *at);
        return at + 1;
    }
    len = utf8_first((struct str){at, (size_t)(end - at)});
    if (len == 0) {
        buf_add_text(out, "\xef\xbf\xbd");
        return at + 1;
    }
    buf_add(out, at, len);
    return at + len;
}

void json_quote(struct buf *out, struct str text)
{
    const char *at = text.at == NULL ? "" : text.at, *end = at + text.len;

    buf_add_byte(out, '"');
    while (at != end) {
        const char *stop = json_plain_end(at, end);

        buf_add(out, at, (size_t)(stop - at));
        at = stop == end ? end : add_odd(out, stop, end);
    }
    buf_add_byte(out, '"');
}

static void encode_string(const struct codec_field *f, const void *at, struct buf *out,
                          unsigned depth)
{
    (void)f;
    (void)depth;
    json_quote(out, *(const struct str *)at);
}

static void encode_bytes(const struct codec_field *f, const void *at, struct buf *out,
                         unsigned depth)
{
    const struct str *bytes = at;

    (void)f;
    (void)depth;
    buf_add_byte(out, '"');
    base64_encode(out, bytes->at, bytes->len);
    buf_add_byte(out, '"');
}

static void encode_bool(const struct codec_field *f, const void *at, struct buf *out,
                        unsigned depth)
{
    (void)f;
    (void)depth;
    buf_add_text(out, *(const bool *)at ? "true" : "false");
}

static void add_signed(struct buf *out, int64_t value)
{
    if (value < 0)
        buf_add_byte(out, '-');
    buf_add_u64(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void encode_32(const struct codec_field *f, const void *at, struct buf *out, unsigned depth)
{
    (void)depth;
    if (f->type == CODEC_UINT32)
        buf_add_u64(out, *(const uint32_t *)at);
    else
        add_signed(out, *(const int32_t *)at);
}

static void encode_64(const struct codec_field *f, const void *at, struct buf *out, unsigned depth)
{
    const char *quote = f->type == CODEC_NUMBER ? "" : "\"";

    (void)depth;
    buf_add_text(out, quote);
    if (f->type == CODEC_UINT64)
        buf_add_u64(out, *(const uint64_t *)at);
    else
        add_signed(out, *(const int64_t *)at);
    buf_add_text(out, quote);
}

static void encode_double(const struct codec_field *f, const void *at, struct buf *out,
                          unsigned depth)
{
    (void)f;
    (void)depth;
    number_from_double(out, *(const double *)at);
}

static void encode_enum(const struct codec_field *f, const void *at, struct buf *out,
                        unsigned depth)
{
    const struct codec_enum *e = f->sub;
    int32_t number = *(const int32_t *)at;

    (void)depth;
    for (size_t i = 0; i < e->count; i++) {
        if (e->values[i].number == number) {
            json_quote(out, str_of(e->values[i].name));
            return;
        }
    }
    add_signed(out, number);
}

static void encode_timestamp(const struct codec_field *f, const void *at, struct buf *out,
                             unsigned depth)
{
    const struct codec_time *t = at;
    char text[RFC3339_MAX];

    (void)f;
    (void)depth;
    if (!time_in_range(t)) { /* no such date can be written down */
        buf_add_text(out, "null");
        return;
    }
    buf_add_byte(out, '"');
    buf_add(out, text, rfc3339_format_ns(t->seconds, t->nanos, text));
    buf_add_byte(out, '"');
}

static void encode_raw(const struct codec_field *f, const void *at, struct buf *out, unsigned depth)
{
    const struct str *text = at;

    (void)f;
    (void)depth;
    buf_add_str(out, text->len == 0 ? STR("null") : *text);
}

static void encode_message(const struct codec_field *f, const void *at, struct buf *out,
                           unsigned depth)
{
    encode_object(f->sub, at, out, depth);
}

static encode_fn *const encoders[] = {
    [CODEC_STRING] = encode_string,
    [CODEC_BYTES] = encode_bytes,
    [CODEC_BOOL] = encode_bool,
    [CODEC_INT32] = encode_32,
    [CODEC_SINT32] = encode_32,
    [CODEC_UINT32] = encode_32,
    [CODEC_INT64] = encode_64,
    [CODEC_UINT64] = encode_64,
    [CODEC_NUMBER] = encode_64,
    [CODEC_DOUBLE] = encode_double,
    [CODEC_ENUM] = encode_enum,
    [CODEC_MESSAGE] = encode_message,
    [CODEC_TIMESTAMP] = encode_timestamp,
    [CODEC_MAP] = NULL, /* encode_map */
    [CODEC_RAW] = encode_raw,
};

static void encode_map(const struct codec_list *map, struct buf *out)
{
    const struct codec_pair *pairs = map->items;

    buf_add_byte(out, '{');
    for (size_t i = 0; i < map->count; i++) {
        if (i != 0)
            buf_add_byte(out, ',');
        json_quote(out, pairs[i].key);
        buf_add_byte(out, ':');
        json_quote(out, pairs[i].value);
    }
    buf_add_byte(out, '}');
}

static void encode_list(const struct codec_field *f, const struct codec_list *list, struct buf *out,
                        unsigned depth)
{
    size_t size = field_item_size(f);

    buf_add_byte(out, '[');
    for (size_t i = 0; i < list->count; i++) {
        if (i != 0)
            buf_add_byte(out, ',');
        encoders[f->type](f, (const char *)list->items + i * size, out, depth);
    }
    buf_add_byte(out, ']');
}

/* What CODEC_ALWAYS says for a member that is not set: its default, or null if that says nothing.
 */
static bool is_null(const struct codec_field *f, bool is_set)
{
    if (is_set || field_is_list(f))
        return false;
    return (f->flags & CODEC_OPTIONAL) != 0 || f->type == CODEC_MESSAGE ||
           f->type == CODEC_TIMESTAMP;
}

static void encode_member(const struct codec_field *f, const void *at, struct buf *out,
                          unsigned depth)
{
    if (f->type == CODEC_MAP) {
        encode_map(at, out);
    } else if ((f->flags & CODEC_REPEATED) != 0) {
        encode_list(f, at, out, depth);
    } else if (f->type == CODEC_MESSAGE) {
        const void *sub = *(void *const *)at;

        if (sub == NULL) /* presence alone says that it is there */
            buf_add_text(out, "{}");
        else
            encode_object(f->sub, sub, out, depth);
    } else {
        encoders[f->type](f, at, out, depth);
    }
}

static void encode_object(const struct codec_message *m, const void *in, struct buf *out,
                          unsigned depth)
{
    char before = '{';

    if (depth >= CODEC_DEPTH_MAX) {
        out->failed = true;
        return;
    }
    for (size_t i = 0; i < m->field_count; i++) {
        const struct codec_field *f = &m->fields[i];
        const char *name = f->json_name == NULL ? f->name : f->json_name;
        bool is_set = field_is_set(f, in);

        if (!is_set &&
            ((f->flags & (CODEC_ALWAYS | CODEC_REQUIRED)) == 0 || (f->flags & CODEC_ONEOF) != 0))
            continue;
        buf_add_byte(out, before);
        before = ',';
        buf_add_byte(out, '"');
        buf_add_text(out, name);
        buf_add(out, "\":", 2);
        if (is_null(f, is_set))
            buf_add_text(out, "null");
        else
            encode_member(f, field_of(f, in), out, depth + 1);
    }
    if (before == '{')
        buf_add_byte(out, '{');
    buf_add_byte(out, '}');
}

void json_encode(const struct codec_message *m, const void *in, struct buf *out)
{
    encode_object(m, in, out, 0);
}

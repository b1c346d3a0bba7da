/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to struct: recursive descent along the table of the message, depth bounded by
 * CODEC_DEPTH_MAX. Called through codec.h by whoever takes JSON from outside. */
#include <math.h>

#include "base/clock.h"
#include "base/digest.h"
#include "codec/codec_internal.h"

enum {
    NAME_RAW_MAX = 512, /* a longer member name with escapes in it is no field of ours */
    QUOTED_MAX = 64,    /* numbers and dates with escapes in them */
    SEEN_WORDS = CODEC_FIELDS_MAX / 64,
};

/* One value of the field's type into `at`; of a list: one element. */
typedef int decode_fn(struct json_in *in, const struct codec_field *f, void *at);

static int decode_object(struct json_in *in, const struct codec_message *m, void *out);

static int wrong(struct json_in *in, const char *text)
{
    return trail_fail(&in->trail, in->err, ERR_INVALID, text);
}

static int full(struct json_in *in)
{
    return trail_fail(&in->trail, in->err, ERR_LIMIT, "too large");
}

/* A value of another type; when there is none at all, that is what is said. */
static int mismatch(struct json_in *in, const char *text)
{
    json_peek(in);
    return in->at == in->end ? json_fail(in) : wrong(in, text);
}

static int keep_text(struct json_in *in, struct json_text text, struct str *out)
{
    char *copy;

    if (!text.has_escape) {
        *out = arena_str(in->arena, text.raw);
        return out->at == NULL ? full(in) : 0;
    }
    copy = arena_alloc(in->arena, text.raw.len + 1);
    if (copy == NULL)
        return full(in);
    *out = (struct str){copy, json_unescape(text.raw, copy)};
    copy[out->len] = '\0';
    return 0;
}

static int decode_string(struct json_in *in, const struct codec_field *f, void *at)
{
    struct json_text text;

    (void)f;
    if (json_peek(in) != '"')
        return mismatch(in, "expected a string");
    return json_text(in, &text) != 0 ? -1 : keep_text(in, text, at);
}

static int decode_bytes(struct json_in *in, const struct codec_field *f, void *at)
{
    struct str text, *out = at;
    struct json_text token;
    uint8_t *bytes;
    ssize_t len;

    (void)f;
    if (json_peek(in) != '"')
        return mismatch(in, "expected a base64 string");
    if (json_text(in, &token) != 0)
        return -1;
    text = token.raw;
    if (token.has_escape && keep_text(in, token, &text) != 0)
        return -1;
    bytes = arena_alloc(in->arena, base64_decoded_max(text.len) + 1);
    if (bytes == NULL)
        return full(in);
    len = base64_decode(text, bytes);
    if (len < 0)
        return wrong(in, "not valid base64");
    bytes[len] = '\0';
    *out = (struct str){(char *)bytes, (size_t)len};
    return 0;
}

static int decode_bool(struct json_in *in, const struct codec_field *f, void *at)
{
    char next = json_peek(in);

    (void)f;
    if (next != 't' && next != 'f')
        return mismatch(in, "expected true or false");
    *(bool *)at = next == 't';
    return json_word(in, next == 't' ? "true" : "false");
}

/* A short string with its escapes resolved, without the arena. */
static int take_quoted(struct json_in *in, char buf[QUOTED_MAX], struct str *out)
{
    struct json_text text;

    if (json_text(in, &text) != 0)
        return -1;
    *out = text.raw;
    if (text.has_escape)
        *out = (struct str){buf, text.raw.len > QUOTED_MAX ? 0 : json_unescape(text.raw, buf)};
    return 0;
}

static bool starts_number(char c)
{
    return c == '-' || (c >= '0' && c <= '9');
}

struct range {
    uint64_t negative; /* largest magnitude below zero */
    uint64_t positive;
    bool may_quote;
};

/* In two's complement. */
static int take_integer(struct json_in *in, const struct range *r, uint64_t *out)
{
    char next = json_peek(in), buf[QUOTED_MAX];
    enum number_verdict verdict;
    struct integer value;
    struct str token;

    if (starts_number(next)) {
        if (json_number(in, &token) != 0)
            return -1;
    } else if (next == '"' && r->may_quote) {
        if (take_quoted(in, buf, &token) != 0)
            return -1;
        if (!number_is_well_formed(token))
            return wrong(in, "expected an integer");
    } else {
        return mismatch(in, "expected an integer");
    }
    verdict = number_to_integer(token, &value);
    if (verdict == NUMBER_FRACTION)
        return wrong(in, "expected an integer, not a fraction");
    if (verdict == NUMBER_RANGE ||
        value.magnitude > (value.is_negative ? r->negative : r->positive))
        return wrong(in, "number out of range");
    *out = value.is_negative ? 0 - value.magnitude : value.magnitude;
    return 0;
}

static const struct range range_int32 = {1u << 31, INT32_MAX, true};
static const struct range range_uint32 = {0, UINT32_MAX, true};
static const struct range range_int64 = {1ull << 63, INT64_MAX, true};
static const struct range range_uint64 = {0, UINT64_MAX, true};
static const struct range range_number = {1ull << 63, INT64_MAX, false};
static const struct range range_enum = {1u << 31, INT32_MAX, false};

static int decode_32(struct json_in *in, const struct codec_field *f, void *at)
{
    uint64_t value;

    if (take_integer(in, f->type == CODEC_UINT32 ? &range_uint32 : &range_int32, &value) != 0)
        return -1;
    /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): json_fail() is -1 */
    *(uint32_t *)at = (uint32_t)value;
    return 0;
}

static int decode_64(struct json_in *in, const struct codec_field *f, void *at)
{
    const struct range *r = f->type == CODEC_UINT64   ? &range_uint64
                            : f->type == CODEC_NUMBER ? &range_number
                                                      : &range_int64;

    return take_integer(in, r, at);
}

static bool double_by_name(struct str name, double *out)
{
    static const struct {
        const char *name;
        double value;
    } names[] = {
        {"NaN",       (double)NAN      },
        {"Infinity",  (double)INFINITY },
        {"-Infinity", -(double)INFINITY}
    };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (str_is(name, names[i].name)) {
            *out = names[i].value;
            return true;
        }
    }
    return false;
}

static int decode_double(struct json_in *in, const struct codec_field *f, void *at)
{
    char next = json_peek(in), buf[QUOTED_MAX];
    struct str token;

    (void)f;
    if (starts_number(next)) {
        if (json_number(in, &token) != 0)
            return -1;
    } else if (next == '"') {
        if (take_quoted(in, buf, &token) != 0)
            return -1;
        if (double_by_name(token, at))
            return 0;
        if (!number_is_well_formed(token))
            return wrong(in, "expected a number");
    } else {
        return mismatch(in, "expected a number");
    }
    return number_to_double(token, at) ? 0 : wrong(in, "number out of range");
}

static int decode_enum(struct json_in *in, const struct codec_field *f, void *at)
{
    const struct codec_enum *e = f->sub;
    char next = json_peek(in), buf[QUOTED_MAX];
    struct str name;
    uint64_t number;

    if (starts_number(next)) {
        if (take_integer(in, &range_enum, &number) != 0)
            return -1;
        /* NOLINTNEXTLINE(clang-analyzer-core.uninitialized.Assign): json_fail() is -1 */
        *(int32_t *)at = (int32_t)number;
        return 0;
    }
    if (next != '"')
        return mismatch(in, "expected a name");
    if (take_quoted(in, buf, &name) != 0)
        return -1;
    for (size_t i = 0; i < e->count; i++) {
        if (str_is(name, e->values[i].name)) {
            *(int32_t *)at = e->values[i].number;
            return 0;
        }
    }
    return wrong(in, "unknown name");
}

static int decode_timestamp(struct json_in *in, const struct codec_field *f, void *at)
{
    struct codec_time *t = at;
    char buf[QUOTED_MAX];
    struct str text;

    (void)f;
    if (json_peek(in) != '"')
        return mismatch(in, "expected an RFC 3339 time");
    if (take_quoted(in, buf, &text) != 0)
        return -1;
    if (!rfc3339_parse(text, &t->seconds, &t->nanos) || !time_in_range(t))
        return wrong(in, "expected an RFC 3339 time");
    return 0;
}

static int decode_raw(struct json_in *in, const struct codec_field *f, void *at)
{
    struct str *out = at;
    const char *from;

    (void)f;
    json_peek(in);
    from = in->at;
    if (json_skip(in) != 0)
        return -1;
    *out = arena_str(in->arena, (struct str){from, (size_t)(in->at - from)});
    return out->at == NULL ? full(in) : 0;
}

static int decode_message(struct json_in *in, const struct codec_field *f, void *at)
{
    return decode_object(in, f->sub, at);
}

static decode_fn *const decoders[] = {
    [CODEC_STRING] = decode_string,
    [CODEC_BYTES] = decode_bytes,
    [CODEC_BOOL] = decode_bool,
    [CODEC_INT32] = decode_32,
    [CODEC_SINT32] = decode_32,
    [CODEC_UINT32] = decode_32,
    [CODEC_INT64] = decode_64,
    [CODEC_UINT64] = decode_64,
    [CODEC_NUMBER] = decode_64,
    [CODEC_DOUBLE] = decode_double,
    [CODEC_ENUM] = decode_enum,
    [CODEC_MESSAGE] = decode_message,
    [CODEC_TIMESTAMP] = decode_timestamp,
    [CODEC_MAP] = NULL, /* decode_map */
    [CODEC_RAW] = decode_raw,
};

/* Behind the opening bracket: is there nothing but the closing one? */
static bool is_empty(struct json_in *in, char closer)
{
    in->at++;
    if (json_peek(in) != closer)
        return false;
    in->at++;
    return true;
}

static int decode_list(struct json_in *in, const struct codec_field *f, struct codec_list *list)
{
    bool more;

    if (json_peek(in) != '[')
        return mismatch(in, "expected an array");
    if (trail_enter(&in->trail, in->err) != 0)
        return -1;
    more = !is_empty(in, ']');
    while (more) {
        void *item = field_add(f, list, in->arena);

        if (item == NULL)
            return full(in);
        trail_name(&in->trail, NULL, (ssize_t)list->count - 1);
        if (decoders[f->type](in, f, item) != 0 || json_more(in, ']', &more) != 0)
            return -1;
    }
    trail_leave(&in->trail);
    return 0;
}

static int decode_pair(struct json_in *in, struct codec_pair *pair)
{
    struct json_text key, value;

    if (json_text(in, &key) != 0 || json_expect(in, ':') != 0)
        return -1;
    if (json_peek(in) != '"')
        return mismatch(in, "expected an object of strings");
    if (json_text(in, &value) != 0)
        return -1;
    if (keep_text(in, key, &pair->key) != 0)
        return -1;
    return keep_text(in, value, &pair->value);
}

static int decode_map(struct json_in *in, const struct codec_field *f, struct codec_list *map)
{
    ssize_t doubles;
    bool more;

    if (json_peek(in) != '{')
        return mismatch(in, "expected an object");
    if (trail_enter(&in->trail, in->err) != 0)
        return -1;
    more = !is_empty(in, '}');
    while (more) {
        struct codec_pair *pair = field_add(f, map, in->arena);

        if (pair == NULL)
            return full(in);
        if (decode_pair(in, pair) != 0 || json_more(in, '}', &more) != 0)
            return -1;
    }
    trail_leave(&in->trail);
    doubles = map_settle(map, in->arena);
    if (doubles < 0)
        return full(in);
    return doubles > 0 ? wrong(in, "duplicate key") : 0;
}

static int decode_member(struct json_in *in, const struct codec_field *f, void *message)
{
    void *at = field_at(f, message);
    int result;

    if ((f->flags & CODEC_ONEOF) != 0 && field_oneof(f, message) != 0)
        return wrong(in, "only one member of its group may be given");
    if (f->type == CODEC_MAP) {
        result = decode_map(in, f, at);
    } else if ((f->flags & CODEC_REPEATED) != 0) {
        result = decode_list(in, f, at);
    } else if (f->type == CODEC_MESSAGE) {
        void *sub = arena_alloc(in->arena, field_item_size(f) + 1);

        if (sub == NULL)
            return full(in);
        *(void **)at = sub;
        result = decode_object(in, f->sub, sub);
    } else {
        result = decoders[f->type](in, f, at);
    }
    if (result == 0)
        field_mark(f, message);
    return result;
}

/* Apart, because of the buffer: such names are rare. */
static const struct codec_field *find_escaped(const struct codec_message *m, struct str raw)
{
    char buf[NAME_RAW_MAX];

    if (raw.len > sizeof(buf))
        return NULL;
    return field_by_name(m, (struct str){buf, json_unescape(raw, buf)}, 0);
}

/* The field a member's name stands for, NULL when it is none of ours. */
static int take_name(struct json_in *in, const struct codec_message *m, size_t hint,
                     struct json_text *name, const struct codec_field **out)
{
    if (json_text(in, name) != 0)
        return -1;
    *out = name->has_escape ? find_escaped(m, name->raw) : field_by_name(m, name->raw, hint);
    return json_expect(in, ':');
}

enum spelling {
    SPELLING_NAME,
    SPELLING_JSON_NAME,
    SPELLING_SNAKE,
};

static enum spelling spelling_of(const struct codec_field *f, struct json_text name)
{
    char buf[NAME_RAW_MAX];
    struct str plain = name.raw;

    if (name.has_escape) /* it was found, so it is no longer than the buffer */
        plain = (struct str){buf, json_unescape(name.raw, buf)};
    if (str_is(plain, f->name))
        return SPELLING_NAME;
    return f->json_name != NULL && str_is(plain, f->json_name) ? SPELLING_JSON_NAME
                                                               : SPELLING_SNAKE;
}

struct member {
    struct json_text name;
    const struct codec_field *field;
    struct str value;
};

static int read_member(struct json_in *in, const struct codec_message *m, struct member *out)
{
    const char *value;

    json_peek(in);
    if (take_name(in, m, 0, &out->name, &out->field) != 0)
        return -1;
    json_peek(in);
    value = in->at;
    if (json_skip(in) != 0)
        return -1;
    out->value = (struct str){value, (size_t)(in->at - value)};
    return 0;
}

/* A member that was given before: fine in another spelling with the same text. `first` is where the
 * members of the object begin, `again` where this one does. Each spelling may be there once, so a
 * document cannot have many of these. */
static int take_again(struct json_in *in, const struct codec_message *m, const char *first,
                      const char *again)
{
    struct member now, before;
    const char *end;
    bool more;

    in->at = again;
    if (read_member(in, m, &now) != 0)
        return -1;
    end = in->at;
    in->at = first;
    while (in->at < again) {
        if (read_member(in, m, &before) != 0 || json_more(in, '}', &more) != 0)
            return -1;
        json_peek(in); /* the next name, or `again` */
        if (before.field != now.field)
            continue;
        if (spelling_of(now.field, before.name) == spelling_of(now.field, now.name))
            return wrong(in, "duplicate member");
        if (!str_eq(before.value, now.value))
            return wrong(in, "both spellings are given, and differ");
    }
    in->at = end;
    return 0;
}

struct seen {
    uint64_t given[SEEN_WORDS]; /* null or not */
    uint64_t valued[SEEN_WORDS];
};

static bool test_and_set(uint64_t *words, size_t index)
{
    uint64_t bit = 1ull << (index % 64);
    bool was = (words[index / 64] & bit) != 0;

    words[index / 64] |= bit;
    return was;
}

static int decode_known(struct json_in *in, const struct codec_field *f, bool *out_has_value,
                        void *out)
{
    *out_has_value = json_peek(in) != 'n';
    return *out_has_value ? decode_member(in, f, out) : json_word(in, "null");
}

static int check_required(struct json_in *in, const struct codec_message *m, struct seen *seen)
{
    for (size_t i = 0; i < m->field_count; i++) {
        if ((m->fields[i].flags & CODEC_REQUIRED) != 0 && !test_and_set(seen->valued, i)) {
            trail_name(&in->trail, m->fields[i].name, TRAIL_NO_INDEX);
            return wrong(in, "is required");
        }
    }
    return 0;
}

static int decode_object(struct json_in *in, const struct codec_message *m, void *out)
{
    const char *first, *member;
    const struct codec_field *f;
    struct json_text name;
    struct seen seen = {0};
    bool more, has_value;
    size_t hint = 0;

    if (json_peek(in) != '{')
        return mismatch(in, "expected an object");
    if (m->field_count > CODEC_FIELDS_MAX)
        return wrong(in, "its table has too many fields");
    if (trail_enter(&in->trail, in->err) != 0)
        return -1;
    more = !is_empty(in, '}');
    first = in->at;
    while (more) {
        json_peek(in);
        member = in->at;
        if (take_name(in, m, hint, &name, &f) != 0)
            return -1;
        if (f == NULL) {
            if (json_skip(in) != 0)
                return -1;
        } else {
            hint = (size_t)(f - m->fields) + 1;
            trail_name(&in->trail, f->name, TRAIL_NO_INDEX);
            if (test_and_set(seen.given, hint - 1)) {
                if (take_again(in, m, first, member) != 0)
                    return -1;
            } else if (decode_known(in, f, &has_value, out) != 0) {
                return -1;
            } else if (has_value) {
                test_and_set(seen.valued, hint - 1);
            }
        }
        if (json_more(in, '}', &more) != 0)
            return -1;
    }
    if (check_required(in, m, &seen) != 0)
        return -1;
    trail_leave(&in->trail);
    return 0;
}

int json_decode(const struct codec_message *m, struct str in, struct arena *a, void *out,
                struct err *err)
{
    struct json_in json;

    json_open(&json, in, a, err);
    if (decode_object(&json, m, out) != 0)
        return -1;
    return json_end(&json);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See param.h. */
#include "worker/param.h"

#include "base/digest.h"

/* What one value of a type is to the codec. */
struct one_text {
    struct str v;
};
struct one_number {
    int64_t v;
};
struct one_bool {
    bool v;
};
struct one_list {
    struct codec_list v;
};

/* clang-format off */
static const struct codec_field text_field =
    {1, "v", CODEC_STRING, CODEC_REQUIRED, offsetof(struct one_text, v)};
static const struct codec_field number_field =
    {1, "v", CODEC_NUMBER, CODEC_REQUIRED, offsetof(struct one_number, v)};
static const struct codec_field bool_field =
    {1, "v", CODEC_BOOL, CODEC_REQUIRED, offsetof(struct one_bool, v)};
static const struct codec_field texts_field =
    {1, "v", CODEC_STRING, CODEC_REPEATED, offsetof(struct one_list, v)};
static const struct codec_field map_field =
    {1, "v", CODEC_MAP, 0, offsetof(struct one_list, v)};

static const struct codec_message text_table =
    {NULL, sizeof(struct one_text), &text_field, 1};
static const struct codec_message number_table =
    {NULL, sizeof(struct one_number), &number_field, 1};
static const struct codec_message bool_table =
    {NULL, sizeof(struct one_bool), &bool_field, 1};
static const struct codec_message texts_table =
    {NULL, sizeof(struct one_list), &texts_field, 1};
static const struct codec_message map_table =
    {NULL, sizeof(struct one_list), &map_field, 1};
/* clang-format on */

/* clang-format off */
static const struct {
    enum param_type type; /* its own number */
    const char *missing;  /* "missing … field" */
    const char *wrong;    /* "must be …" */
    const char *schema;
} types[] = {
    {PARAM_TEXT, "string", "a string", "\"type\":\"string\""},
    {PARAM_TEXTS, "array", "an array of strings", "\"type\":\"array\",\"items\":{\"type\":\"string\"}"},
    {PARAM_ENV, "object", "an object of strings, or an array of \"NAME=value\"", "\"type\":[\"object\",\"array\"]"},
    {PARAM_NUMBER, "integer", "an integer", "\"type\":\"integer\""},
    {PARAM_BOOL, "boolean", "true or false", "\"type\":\"boolean\""},
    {PARAM_BASE64, "string", "bytes in base64", "\"type\":\"string\",\"contentEncoding\":\"base64\""},
    {PARAM_MODE, "string", "permissions in octal, such as \"0644\"", "\"type\":[\"string\",\"integer\"]"},
    {PARAM_CHANNEL, "object", "a reference to a channel", "\"type\":\"object\""},
    {PARAM_CONTENT, "string", "a string, or a reference to a channel", "\"type\":[\"string\",\"object\"]"},
    {PARAM_OBJECT, "object", "an object", "\"type\":\"object\""},
    {PARAM_OBJECTS, "array", "an array of objects", "\"type\":\"array\",\"items\":{\"type\":\"object\"}"},
};
/* clang-format on */

enum { MODE_MAX = 07777 };

/* `{"v":RAW}` through a table. */
static bool decode(const struct codec_message *m, struct str raw, struct arena *a, void *out)
{
    struct buf text;
    bool is_good;

    buf_init(&text, raw.len + 16);
    buf_add_text(&text, "{\"v\":");
    buf_add_str(&text, raw);
    buf_add_byte(&text, '}');
    is_good = buf_ok(&text) && json_decode(m, buf_str(&text), a, out, NULL) == 0;
    if (text.at != NULL)
        explicit_bzero(text.at, text.len);
    buf_done(&text);
    return is_good;
}

static bool read_text(struct str raw, struct arena *a, struct str *out)
{
    struct one_text one = {0};

    if (raw.at[0] != '"' || !decode(&text_table, raw, a, &one))
        return false;
    *out = one.v;
    return true;
}

static bool read_number(struct str raw, struct arena *a, int64_t *out)
{
    struct one_number one = {0};

    if (raw.at[0] == '"' || !decode(&number_table, raw, a, &one))
        return false;
    *out = one.v;
    return true;
}

static bool read_texts(struct str raw, struct arena *a, struct codec_list *out)
{
    struct one_list one = {0};

    if (raw.at[0] != '[' || !decode(&texts_table, raw, a, &one))
        return false;
    *out = one.v;
    return true;
}

static bool read_env(struct str raw, struct arena *a, struct codec_list *out)
{
    struct one_list one = {0};
    struct codec_list texts;
    struct codec_pair *pairs;

    if (raw.at[0] == '{') {
        if (!decode(&map_table, raw, a, &one))
            return false;
        *out = one.v;
        return true;
    }
    if (!read_texts(raw, a, &texts) ||
        (pairs = arena_array(a, texts.count + 1, sizeof(*pairs))) == NULL)
        return false;
    for (size_t i = 0; i < texts.count; i++) {
        struct str text = ((const struct str *)texts.items)[i];

        pairs[i].key = str_cut(text, '=', &pairs[i].value);
        if (pairs[i].key.len == text.len || pairs[i].key.len == 0)
            return false;
    }
    *out = (struct codec_list){pairs, texts.count};
    return true;
}

static bool read_base64(struct str raw, struct arena *a, struct str *out)
{
    struct str text;
    uint8_t *bytes;
    ssize_t len;

    if (!read_text(raw, a, &text))
        return false;
    bytes = arena_alloc(a, base64_decoded_max(text.len) + 1);
    len = bytes == NULL ? -1 : base64_decode(text, bytes);
    if (len < 0)
        return false;
    *out = (struct str){(const char *)bytes, (size_t)len};
    return true;
}

static bool read_mode(struct str raw, struct arena *a, int64_t *out)
{
    struct str text;
    int64_t mode = 0;

    if (read_number(raw, a, out))
        return *out >= 0 && *out <= MODE_MAX;
    if (!read_text(raw, a, &text) || text.len < 3 || text.len > 5)
        return false;
    if (str_has_prefix(text, "0o"))
        text = str_from(text, 2);
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < '0' || text.at[i] > '7')
            return false;
        mode = mode * 8 + (text.at[i] - '0');
    }
    *out = mode;
    return mode <= MODE_MAX;
}

static bool read_bool(struct str raw, struct arena *a, bool *out)
{
    struct one_bool one = {0};

    if (!decode(&bool_table, raw, a, &one))
        return false;
    *out = one.v;
    return true;
}

static bool read_one(const struct param *p, struct str raw, struct arena *a, struct arg *out)
{
    switch (p->type) {
    case PARAM_TEXT: return read_text(raw, a, &out->text);
    case PARAM_TEXTS: return read_texts(raw, a, &out->list);
    case PARAM_ENV: return read_env(raw, a, &out->list);
    case PARAM_NUMBER: return read_number(raw, a, &out->number);
    case PARAM_BOOL: return read_bool(raw, a, &out->flag);
    case PARAM_BASE64: return read_base64(raw, a, &out->text);
    case PARAM_MODE: return read_mode(raw, a, &out->number);
    case PARAM_CONTENT:
        out->is_channel = raw.at[0] == '{';
        out->text = raw;
        return out->is_channel || read_text(raw, a, &out->text);
    case PARAM_CHANNEL:
        out->is_channel = true;
        out->text = raw;
        return raw.at[0] == '{';
    case PARAM_OBJECT: out->text = raw; return raw.at[0] == '{';
    case PARAM_OBJECTS: out->text = raw; return raw.at[0] == '[';
    }
    return false;
}

static int read_param(const struct param *p, struct str raw, struct arena *a, struct arg *out,
                      struct err *err)
{
    if (!read_one(p, raw, a, out))
        return err_set(err, ERR_INVALID, "field '%s' must be %s", p->name, types[p->type].wrong);
    if (p->type == PARAM_NUMBER && (p->min != 0 || p->max != 0) &&
        (out->number < p->min || out->number > p->max))
        return err_set(err, ERR_INVALID, "field '%s' must be an integer from %lld to %lld", p->name,
                       (long long)p->min, (long long)p->max);
    out->is_set = true;
    return 0;
}

/* NULL: it is not there, or null. */
static const struct codec_pair *find(const struct codec_list *members, const struct param *p)
{
    const struct codec_pair *pairs = members->items;

    for (size_t i = 0; i < members->count; i++) {
        if (str_is(pairs[i].value, "null"))
            continue;
        if (str_is(pairs[i].key, p->name) || (p->other != NULL && str_is(pairs[i].key, p->other)))
            return &pairs[i];
    }
    return NULL;
}

int params_read(const struct param *params, size_t count, struct str data, struct arena *a,
                struct arg *out, struct err *err)
{
    struct codec_list members = {0};

    if (!str_is(data, "null") && json_members(data, a, &members, err) != 0)
        return err_wrap(err, "the payload must be an object");
    for (size_t i = 0; i < count; i++) {
        const struct codec_pair *member = find(&members, &params[i]);

        out[i] = (struct arg){0};
        if (member == NULL && (params[i].flags & PARAM_REQUIRED) != 0)
            return err_set(err, ERR_INVALID, "missing %s field '%s'", types[params[i].type].missing,
                           params[i].name);
        if (member != NULL && read_param(&params[i], member->value, a, &out[i], err) != 0)
            return -1;
    }
    return 0;
}

void params_schema(const struct param *params, size_t count, struct buf *out)
{
    bool is_first = true;

    buf_add_text(out, "{\"type\":\"object\",\"properties\":{");
    for (size_t i = 0; i < count; i++) {
        const struct param *p = &params[i];

        buf_printf(out, "%s\"%s\":{%s", i == 0 ? "" : ",", p->name, types[p->type].schema);
        if (p->type == PARAM_NUMBER && (p->min != 0 || p->max != 0))
            buf_printf(out, ",\"minimum\":%lld,\"maximum\":%lld", (long long)p->min,
                       (long long)p->max);
        if ((p->flags & PARAM_NULLABLE) != 0)
            buf_add_text(out, ",\"nullable\":true");
        buf_add_text(out, ",\"description\":");
        json_quote(out, str_of(p->help));
        buf_add_byte(out, '}');
    }
    buf_add_text(out, "},\"required\":[");
    for (size_t i = 0; i < count; i++) {
        if ((params[i].flags & PARAM_REQUIRED) == 0)
            continue;
        buf_printf(out, "%s\"%s\"", is_first ? "" : ",", params[i].name);
        is_first = false;
    }
    buf_add_text(out, "]}");
}

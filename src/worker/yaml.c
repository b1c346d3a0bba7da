/* SPDX-License-Identifier: Apache-2.0 */
/* See yaml.h. Called by settings.c. */
#include "worker/yaml.h"

enum { KEYS_MAX = 64 };

struct reader {
    struct str rest;
    struct arena *arena;
    yaml_fn *fn;
    void *ctx;
    struct err *err;
    unsigned line;
    struct str keys[KEYS_MAX]; /* that were there */
    size_t key_count;
    /* the key whose "- item" lines may follow */
    bool is_open;
    struct str key;
    size_t depth; /* of all keys */
    bool has_depth, is_nested;
    struct str items[YAML_ITEMS_MAX];
    size_t count;
};

static int bad(struct reader *r, const char *what)
{
    return err_set(r->err, ERR_INVALID, "line %u: %s", r->line, what);
}

/* Without a comment: '#' at the front or behind a blank, outside of quotes. */
static struct str without_comment(struct str line)
{
    char quote = '\0';

    for (size_t i = 0; i < line.len; i++) {
        char c = line.at[i];

        if (quote != '\0') {
            if (c == '\\' && quote == '"')
                i++;
            else if (c == quote)
                quote = '\0';
        } else if ((c == '"' || c == '\'') && (i == 0 || strchr(" [,:-", line.at[i - 1]) != NULL)) {
            quote = c;
        } else if (c == '#' && (i == 0 || line.at[i - 1] == ' ')) {
            return str_upto(line, i);
        }
    }
    return line;
}

/* The text in quotes at the front of *in, which is moved behind it. */
static int read_quoted(struct reader *r, struct str *in, struct str *out)
{
    char quote = in->at[0];
    char *to = arena_alloc(r->arena, in->len + 1);
    size_t len = 0, i = 1;

    if (to == NULL)
        return bad(r, "too large");
    for (; i < in->len; i++) {
        char c = in->at[i];

        if (c == quote && quote == '\'' && i + 1 < in->len && in->at[i + 1] == quote) {
            i++;
        } else if (c == quote) {
            break;
        } else if (c == '\\' && quote == '"') {
            if (i + 1 >= in->len || strchr("\"\\/", in->at[i + 1]) == NULL)
                return bad(r, "an escape that is not understood here");
            c = in->at[++i];
        }
        to[len++] = c;
    }
    if (i >= in->len)
        return bad(r, "quotes that do not end");
    *out = (struct str){to, len};
    *in = str_from(*in, i + 1);
    return 0;
}

/* A scalar that ends before one of `stops` (of a list) or with the line. */
static int read_scalar(struct reader *r, struct str *in, bool is_in_list, struct str *out)
{
    size_t len = 0;

    *in = str_trim(*in);
    if (in->len > 0 && (in->at[0] == '"' || in->at[0] == '\''))
        return read_quoted(r, in, out);
    while (len < in->len && !(is_in_list && (in->at[len] == ',' || in->at[len] == ']')))
        len++;
    *out = str_trim(str_upto(*in, len));
    *in = str_from(*in, len);
    if (out->len > 0 && memchr("&*!|>{}[]%@`,?", out->at[0], 14) != NULL)
        return bad(r, "YAML of a kind that is not understood here");
    for (size_t i = 0; i < out->len; i++) {
        if (out->at[i] == ':' && (i + 1 == out->len || out->at[i + 1] == ' '))
            return bad(r, "a value with a colon needs quotes");
        if (is_in_list && (out->at[i] == '[' || out->at[i] == '{'))
            return bad(r, "lists of lists are not understood here");
    }
    if (str_is(*out, "~") || str_is(*out, "null"))
        return bad(r, "null is no value here");
    *out = arena_str(r->arena, *out);
    return out->at == NULL ? bad(r, "too large") : 0;
}

static int add_item(struct reader *r, struct str item)
{
    if (r->count == YAML_ITEMS_MAX)
        return bad(r, "the list is too long");
    r->items[r->count++] = item;
    return 0;
}

static int emit(struct reader *r, bool is_list)
{
    const struct yaml_value value = {is_list, r->items, r->count};

    r->is_open = false;
    if (r->fn(r->ctx, r->key, &value, r->err) == 0)
        return 0;
    return err_wrap(r->err, "line %u", r->line);
}

static int read_flow_list(struct reader *r, struct str in)
{
    bool may_end = true; /* an empty list, or a comma at the end */
    struct str item;

    in = str_from(in, 1);
    for (;;) {
        in = str_trim(in);
        if (in.len == 0)
            return bad(r, "a list that does not end in its line");
        if (in.at[0] == ']' && may_end)
            break;
        if (read_scalar(r, &in, true, &item) != 0 || add_item(r, item) != 0)
            return -1;
        in = str_trim(in);
        if (item.len == 0 || in.len == 0 || (in.at[0] != ',' && in.at[0] != ']'))
            return bad(r, "a list that is not understood");
        may_end = in.at[0] == ']' || in.len > 1;
        if (in.at[0] == ',')
            in = str_from(in, 1);
    }
    if (str_trim(str_from(in, 1)).len > 0)
        return bad(r, "something behind the list");
    return emit(r, true);
}

static int begin_key(struct reader *r, struct str key)
{
    for (size_t i = 0; i < r->key_count; i++)
        if (str_eq(r->keys[i], key))
            return bad(r, "the key is there twice");
    if (r->key_count == KEYS_MAX)
        return bad(r, "too many keys");
    r->keys[r->key_count++] = key;
    r->key = key;
    r->count = 0;
    return 0;
}

static int read_key(struct reader *r, struct str line, size_t depth)
{
    struct str value, scalar;
    struct str key = str_cut(line, ':', &value);
    bool is_alone;

    if (key.len == line.len || key.len == 0 || (value.len > 0 && value.at[0] != ' '))
        return bad(r, "expected 'key: value'");
    for (size_t i = 0; i < key.len; i++)
        if (!(key.at[i] == '_' || (key.at[i] >= 'a' && key.at[i] <= 'z')))
            return bad(r, "expected a key of letters and '_'");
    value = str_trim(value);
    is_alone = value.len == 0;
    if (is_alone && !r->has_depth && depth == 0 && str_is(key, "config")) {
        r->is_nested = true;
        return 0;
    }
    if (r->has_depth ? depth != r->depth : (depth > 0) != r->is_nested)
        return bad(r, "it is not as far to the right as the keys before it");
    r->has_depth = true;
    r->depth = depth;
    if (begin_key(r, key) != 0)
        return -1;
    r->is_open = is_alone;
    if (is_alone)
        return 0;
    if (value.at[0] == '[')
        return read_flow_list(r, value);
    if (read_scalar(r, &value, false, &scalar) != 0 || add_item(r, scalar) != 0)
        return -1;
    return str_trim(value).len > 0 ? bad(r, "something behind the value") : emit(r, false);
}

static int read_line(struct reader *r, struct str line)
{
    size_t depth = 0;
    struct str item;

    while (depth < line.len && line.at[depth] == ' ')
        depth++;
    line = str_from(line, depth);
    if (line.at[0] == '-' && (line.len == 1 || line.at[1] == ' ')) {
        if (!r->is_open || depth < r->depth)
            return bad(r, "an item of no list");
        line = str_from(line, 1);
        if (read_scalar(r, &line, false, &item) != 0)
            return -1;
        if (item.len == 0 || str_trim(line).len > 0)
            return bad(r, "an item that is not understood");
        return add_item(r, item);
    }
    if (r->is_open && (r->count == 0 || emit(r, true) != 0))
        return r->count == 0 ? bad(r, "the key before has no value") : -1;
    return read_key(r, line, depth);
}

int yaml_read(struct str text, struct arena *a, yaml_fn *fn, void *ctx, struct err *err)
{
    struct reader *r = mem_zero(sizeof(*r));
    int status = text.len > YAML_MAX ? err_set(err, ERR_LIMIT, "it is too long") : 0;

    *r = (struct reader){.rest = text, .arena = a, .fn = fn, .ctx = ctx, .err = err};
    while (status == 0 && r->rest.len > 0) {
        struct str line = str_cut(r->rest, '\n', &r->rest);

        r->line++;
        if (line.len > 0 && line.at[line.len - 1] == '\r')
            line.len--;
        if (memchr(line.at == NULL ? "" : line.at, '\t', line.len) != NULL)
            status = bad(r, "a tab");
        if (status != 0 || (r->line == 1 && str_is(line, "---")))
            continue;
        line = without_comment(line);
        while (line.len > 0 && line.at[line.len - 1] == ' ')
            line.len--;
        if (line.len > 0)
            status = read_line(r, line);
    }
    if (status == 0 && r->is_open)
        status = r->count == 0 ? bad(r, "the last key has no value") : emit(r, true);
    free(r);
    return status;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See rules.h. Called by web.c for each request. */
#include "egress/rules.h"

#include "base/host_name.h"
#include "base/id.h"
#include "ipc/placeholder.h"

enum {
    PATH_MAX_LEN = 8 << 10, /* of one that is compared */
};

const struct egress_rule *rules_find(const struct codec_list *rules, struct str host)
{
    const struct egress_rule *rows = rules->items, *best = NULL;

    for (size_t i = 0; i < rules->count; i++) {
        if (!host_pattern_matches(rows[i].pattern, host))
            continue;
        if (!str_has_prefix(rows[i].pattern, "*."))
            return &rows[i];
        if (best == NULL || rows[i].pattern.len > best->pattern.len)
            best = &rows[i];
    }
    return best;
}

/* What the server will take it for; false: that is not certain. */
static bool plain_path(struct str path, struct buf *out)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];

        if (c == '%') {
            int high = i + 2 < path.len ? hex_digit(path.at[i + 1]) : -1;
            int low = i + 2 < path.len ? hex_digit(path.at[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
            if (c == '/' || c == '.' || c == '%' || (unsigned char)c < ' ')
                return false;
        }
        if (c == '\\')
            return false;
        buf_add_byte(out, c);
    }
    return buf_ok(out);
}

static bool has_dots(struct str path)
{
    while (path.len > 0) {
        struct str part = str_cut(path, '/', &path);

        part = str_cut(part, ';', &(struct str){0}); /* "..;" is ".." to some servers */
        if (str_is(part, ".") || str_is(part, ".."))
            return true;
    }
    return false;
}

static bool has_word(const struct codec_list *words, struct str word)
{
    const struct str *rows = words->items;

    for (size_t i = 0; i < words->count; i++)
        if (str_eq(rows[i], word))
            return true;
    return words->count == 0;
}

static bool has_prefix_of(const struct codec_list *paths, struct str path)
{
    const struct str *rows = paths->items;

    for (size_t i = 0; i < paths->count; i++)
        if (str_eq(str_upto(path, rows[i].len), rows[i]))
            return true;
    return false;
}

bool rules_allow(const struct egress_rule *r, struct str method, struct str path)
{
    const struct egress_request *rows = r->allow.items;
    bool is_allowed = r->allow.count == 0, is_plain;
    struct buf plain;

    buf_init(&plain, PATH_MAX_LEN);
    is_plain = plain_path(path, &plain) && !has_dots(buf_str(&plain));
    for (size_t i = 0; i < r->allow.count && !is_allowed; i++)
        is_allowed = has_word(&rows[i].methods, method) &&
                     (rows[i].paths.count == 0 ||
                      (is_plain && has_prefix_of(&rows[i].paths, buf_str(&plain))));
    buf_done(&plain);
    return is_allowed;
}

static const struct codec_pair *secret_of(const struct codec_list *secrets, struct str name)
{
    const struct codec_pair *rows = secrets->items;

    for (size_t i = 0; i < secrets->count; i++)
        if (str_ieq(rows[i].key, name))
            return &rows[i];
    return NULL;
}

int rules_fill(struct str value, const struct codec_list *secrets, struct buf *out, struct err *err)
{
    struct str before, name;

    while (placeholder_next(&value, &before, &name)) {
        const struct codec_pair *secret = secret_of(secrets, name);

        if (secret == NULL)
            return err_set(err, ERR_NOT_FOUND, "there is no secret '%.*s'", STR_ARG(name));
        buf_add_str(out, before);
        buf_add_str(out, secret->value);
    }
    buf_add_str(out, before);
    return buf_ok(out) ? 0 : err_set(err, ERR_LIMIT, "the value of a header is too long");
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Percent-encoding, query parameters, path segments. Used by the router and by handlers. */
#include "base/arena.h"
#include "base/id.h"
#include "http/head.h"

ssize_t url_decode(struct str in, bool plus_is_space, char *out)
{
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++) {
        char c = in.at[i];

        if (c == '%') {
            int high = i + 2 < in.len ? hex_digit(in.at[i + 1]) : -1;
            int low = i + 2 < in.len ? hex_digit(in.at[i + 2]) : -1;

            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        out[len++] = c;
    }
    return (ssize_t)len;
}

struct str url_query(struct str query, const char *name)
{
    struct str wanted = str_of(name);

    while (query.len > 0) {
        struct str value;
        struct str pair = str_cut(query, '&', &query);
        struct str key = str_cut(pair, '=', &value);

        if (str_eq(key, wanted))
            return value;
    }
    return (struct str){NULL, 0};
}

int url_split(struct arena *a, struct str path, struct str *parts, size_t parts_max)
{
    size_t count = 0;
    struct str rest = path;
    bool is_more = true;

    if (path.len == 0 || path.at[0] != '/')
        return -1;
    for (rest = str_from(path, 1); is_more; count++) {
        struct str part;
        char *text;
        ssize_t len;

        is_more = str_find(rest, '/') >= 0;
        part = str_cut(rest, '/', &rest);
        if (count == parts_max)
            return -1;
        text = arena_alloc(a, part.len + 1);
        len = text == NULL ? -1 : url_decode(part, false, text);
        if (len < 0)
            return -1;
        text[len] = '\0';
        parts[count] = (struct str){text, (size_t)len};
    }
    return (int)count;
}

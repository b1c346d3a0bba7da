/* SPDX-License-Identifier: Apache-2.0 */
/* Page tokens. Called by sandbox_list.c. */
#include "api/cursor.h"

#include <stdio.h>

#include "base/digest.h"

void cursor_put(const struct sandbox *s, bool is_ascending, struct buf *out)
{
    char text[CURSOR_MAX];
    int len = snprintf(text, sizeof(text), "%lld__%.*s%s", (long long)s->r.started_at_ms,
                       STR_ARG(s->r.id), is_ascending ? "__asc" : "");

    base64_encode(out, text, (size_t)len);
    for (size_t i = 0; i < out->len; i++) {
        if (out->at[i] == '+')
            out->at[i] = '-';
        if (out->at[i] == '/')
            out->at[i] = '_';
    }
    while (out->len > 0 && out->at[out->len - 1] == '=')
        buf_truncate(out, out->len - 1);
}

int cursor_parse(struct str token, struct arena *a, struct sandbox_query *q)
{
    struct str rest, suffix = q->is_ascending ? STR("__asc") : STR("");
    uint8_t *text;
    ssize_t at, len;

    if (token.len > CURSOR_MAX * 4 / 3)
        return -1;
    text = arena_alloc(a, base64_decoded_max(token.len) + 1);
    len = text == NULL ? -1 : base64_decode(token, text);
    if (len <= 0)
        return -1;
    rest = (struct str){(const char *)text, (size_t)len};
    if (!str_has_suffix(rest, suffix.at))
        return -1;
    rest.len -= suffix.len;
    at = str_find(rest, '_');
    if (at <= 0 || (size_t)at + 2 >= rest.len || rest.at[at + 1] != '_')
        return -1;
    q->cursor_id = str_from(rest, (size_t)at + 2);
    if (!str_to_i64(str_upto(rest, (size_t)at), &q->cursor_ms) || str_find(q->cursor_id, '_') >= 0)
        return -1;
    q->has_cursor = true;
    return 0;
}

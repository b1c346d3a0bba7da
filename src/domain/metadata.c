/* SPDX-License-Identifier: Apache-2.0 */
/* The triple-encoded metadata filter. Called by api/sandbox_list.c and sandbox_query.c. */
#include "domain/metadata.h"

#include "base/id.h"

/* Query decoding ('+' is a blank) into the arena. Not http's url_decode: this layer is below. */
static int decode(struct str in, struct arena *a, struct str *out)
{
    struct str copy = arena_str(a, in);
    char *to = (char *)(uintptr_t)copy.at;
    size_t len = 0;

    if (copy.at == NULL)
        return -1;
    for (size_t i = 0; i < in.len; i++) {
        int high, low;

        if (in.at[i] != '%') {
            to[len++] = in.at[i] == '+' ? ' ' : in.at[i];
            continue;
        }
        if (in.len - i < 3)
            return -1;
        high = hex_digit(in.at[i + 1]);
        low = hex_digit(in.at[i + 2]);
        if (high < 0 || low < 0)
            return -1;
        to[len++] = (char)(high << 4 | low);
        i += 2;
    }
    *out = (struct str){to, len};
    return 0;
}

int metadata_parse(struct str text, struct arena *a, struct codec_list *out, struct err *err)
{
    struct codec_pair *pairs = arena_array(a, METADATA_FILTER_MAX, sizeof(*pairs));
    struct str rest;
    size_t count = 0;

    if (pairs == NULL || decode(text, a, &rest) != 0)
        return err_set(err, ERR_INVALID, "Error parsing metadata");
    while (rest.len > 0) {
        struct str value, part = str_cut(rest, '&', &rest);
        struct str key = str_cut(part, '=', &value);

        if (part.len == 0)
            continue;
        if (count == METADATA_FILTER_MAX || decode(key, a, &pairs[count].key) != 0 ||
            decode(value, a, &pairs[count].value) != 0)
            return err_set(err, ERR_INVALID, "Error parsing metadata");
        count++;
    }
    *out = (struct codec_list){pairs, count};
    return 0;
}

static bool holds(const struct codec_list *have, const struct codec_pair *pair)
{
    const struct codec_pair *pairs = have->items;

    for (size_t i = 0; i < have->count; i++)
        if (str_eq(pairs[i].key, pair->key))
            return str_eq(pairs[i].value, pair->value);
    return false;
}

bool metadata_matches(const struct codec_list *have, const struct codec_list *want)
{
    const struct codec_pair *pairs = want->items;

    for (size_t i = 0; i < want->count; i++)
        if (!holds(have, &pairs[i]))
            return false;
    return true;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Objects whose names are data and whose values are for another table. Called by
 * domain/network_rules.c. Apart from json_decode.c, so that envd does not carry it. */
#include "codec/codec_internal.h"

static const struct codec_field pairs_field = {.number = 1, .name = "members", .type = CODEC_MAP};

static int full(struct json_in *in)
{
    return trail_fail(&in->trail, in->err, ERR_LIMIT, "too large");
}

static int read_member(struct json_in *in, struct codec_pair *out)
{
    struct json_text name;
    const char *from;
    char *to;

    if (json_peek(in) != '"')
        return json_fail(in);
    if (json_text(in, &name) != 0)
        return -1;
    to = arena_alloc(in->arena, name.raw.len + 1);
    if (to == NULL)
        return full(in);
    out->key = (struct str){to, json_unescape(name.raw, to)};
    if (json_expect(in, ':') != 0)
        return -1;
    json_peek(in);
    from = in->at;
    if (json_skip(in) != 0)
        return -1;
    out->value = arena_str(in->arena, (struct str){from, (size_t)(in->at - from)});
    return out->value.at == NULL ? full(in) : 0;
}

static int read_members(struct json_in *in, struct codec_list *out)
{
    bool more;

    if (json_expect(in, '{') != 0)
        return -1;
    more = json_peek(in) != '}';
    if (!more && json_expect(in, '}') != 0)
        return -1;
    while (more) {
        struct codec_pair *pair = field_add(&pairs_field, out, in->arena);

        if (pair == NULL)
            return full(in);
        if (read_member(in, pair) != 0 || json_more(in, '}', &more) != 0)
            return -1;
    }
    return json_end(in);
}

int json_members(struct str text, struct arena *a, struct codec_list *out, struct err *err)
{
    struct codec_list list = {0};
    struct json_in in;
    ssize_t twice;

    json_open(&in, text, a, err);
    if (read_members(&in, &list) != 0)
        return -1;
    twice = map_settle(&list, a);
    if (twice != 0)
        return twice < 0 ? full(&in) : err_set(err, ERR_INVALID, "a name is given twice");
    *out = list;
    return 0;
}

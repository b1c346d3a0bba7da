/* SPDX-License-Identifier: Apache-2.0 */
/* See variables.h. */
#include "interpreter/variables.h"

/* A map is read as a member of something: this is it. */
struct holder {
    struct codec_list all;
};

static const struct codec_field holder_fields[] = {
    {1, "v", CODEC_MAP, 0, offsetof(struct holder, all)},
};
static const struct codec_message holder_message = {"variables", sizeof(struct holder),
                                                    holder_fields, COUNT_OF(holder_fields)};

bool variables_read(struct variables *v, struct str json, size_t max)
{
    struct holder h = {0};
    struct err err;
    bool is_read;

    *v = (struct variables){0};
    arena_init(&v->mem, 2 * max);
    buf_init(&v->text, max);
    buf_add_text(&v->text, "{\"v\":");
    buf_add_str(&v->text, json);
    buf_add_byte(&v->text, '}');
    is_read =
        buf_ok(&v->text) && json_decode(&holder_message, buf_str(&v->text), &v->mem, &h, &err) == 0;
    v->all = h.all;
    return is_read;
}

void variables_done(struct variables *v)
{
    buf_done(&v->text);
    arena_done(&v->mem);
}

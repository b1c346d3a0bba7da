/* SPDX-License-Identifier: Apache-2.0 */
/* See pack.h. */
#include "domain/pack.h"

#include <assert.h>

#include "base/digest.h"

static size_t texts_size(const struct codec_message *m, const void *record)
{
    size_t size = 0;

    for (size_t i = 0; i < m->field_count; i++) {
        const struct codec_field *f = &m->fields[i];

        assert((f->flags & CODEC_REPEATED) == 0 && f->type != CODEC_MAP);
        if (f->type == CODEC_STRING)
            size += ((const struct str *)(const void *)((const char *)record + f->offset))->len;
    }
    return size;
}

static void make_utf8(char *text, size_t len)
{
    if (utf8_valid((struct str){text, len}))
        return;
    for (size_t i = 0; i < len; i++)
        if ((text[i] & 0x80) != 0)
            text[i] = '?';
}

void *pack_new(const struct codec_message *m, const void *record, size_t size, size_t offset)
{
    char *object = mem_zero(size + texts_size(m, record)), *to = object + size;

    memcpy(object + offset, record, m->size);
    for (size_t i = 0; i < m->field_count; i++) {
        struct str *text = (struct str *)(void *)(object + offset + m->fields[i].offset);

        if (m->fields[i].type != CODEC_STRING)
            continue;
        if (text->len > 0)
            memcpy(to, text->at, text->len);
        make_utf8(to, text->len);
        text->at = to;
        to += text->len;
    }
    return object;
}

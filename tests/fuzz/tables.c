/* SPDX-License-Identifier: Apache-2.0 */
/* See tables.h. */
#include "tables.h"

#include <assert.h>

enum { MEMORY_MAX = 8 << 20 };

static bool turn(const struct codec_message *m, bool is_json, struct str in, struct buf *out)
{
    void *message = mem_zero(m->size);
    struct err err = {0};
    struct arena a;
    int result;

    buf_init(out, MEMORY_MAX);
    arena_init(&a, MEMORY_MAX);
    result = (is_json ? json_decode : proto_decode)(m, in, &a, message, &err);
    assert(result == 0 || err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
    if (result == 0)
        (is_json ? json_encode : proto_encode)(m, message, out);
    arena_done(&a);
    free(message);
    return result == 0 && buf_ok(out);
}

void tables_check(const struct codec_message *const *tables, size_t count, struct str in)
{
    const struct codec_message *m;
    struct buf first, second;
    bool is_json;

    if (in.len == 0)
        return;
    is_json = (in.at[0] & 0x80) == 0;
    m = tables[(size_t)(in.at[0] & 0x7f) % count];
    if (m == NULL)
        return;
    if (turn(m, is_json, str_from(in, 1), &first)) {
        assert(turn(m, is_json, buf_str(&first), &second));
        assert(str_eq(buf_str(&first), buf_str(&second)));
        buf_done(&second);
    }
    buf_done(&first);
}

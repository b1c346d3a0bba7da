/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz interpreter: the contents of a kernel's messages. Whatever they are, the lines made of them
 * are JSON in ASCII, one object each. */
#include <assert.h>

#include "interpreter/jupyter_message.h"
#include "interpreter/lines.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct buf *out)
{
    struct str all = buf_str(out);

    assert(buf_ok(out));
    for (size_t i = 0; i < all.len; i++)
        assert((unsigned char)all.at[i] < 0x80);
    if (all.len > 0) {
        assert(all.at[all.len - 1] == '\n' && str_find(all, '\n') == (ssize_t)all.len - 1);
        assert(json_valid(str_upto(all, all.len - 1)));
    }
    buf_clear(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct jupyter_stream stream;
    struct jupyter_display display;
    struct jupyter_error error;
    struct jupyter_state state;
    struct arena a;
    struct buf out;
    struct err err;

    arena_init(&a, 8 << 20);
    buf_init(&out, 8 << 20);
    if (jupyter_read_stream(in, &a, &stream, &err) == 0)
        line_stream(&out, str_is(stream.name, "stderr"), stream.text);
    check(&out);
    if (jupyter_read_display(in, &a, &display, &err) == 0)
        line_result(&out, true, &display.data);
    check(&out);
    if (jupyter_read_error(in, &a, &error, &err) == 0)
        line_error(&out, error.name, error.value, STR(""));
    check(&out);
    if (jupyter_read_state(in, &a, &state, &err) == 0)
        line_count(&out, state.execution_count);
    check(&out);
    line_stream_bytes(&out, false, in);
    check(&out);
    buf_done(&out);
    arena_done(&a);
    return 0;
}

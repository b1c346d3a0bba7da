/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz codec: JSON into every sample message. What was accepted has to come back the same. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "codec/codec.h"
#include "messages.h"

enum {
    MEMORY_MAX = 8 << 20,
    SAMPLE_WORDS = 256,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decode and encode once; false when it was refused. */
static bool turn(const struct codec_message *m, struct str in, struct buf *out)
{
    uint64_t sample[SAMPLE_WORDS] = {0};
    struct err err = {0};
    struct arena a;
    bool accepted;

    assert(m->size <= sizeof(sample));
    arena_init(&a, MEMORY_MAX);
    accepted = json_decode(m, in, &a, sample, &err) == 0;
    assert(accepted || ((err.kind == ERR_INVALID || err.kind == ERR_LIMIT) && err.text[0] != 0));
    if (accepted)
        json_encode(m, sample, out);
    arena_done(&a);
    return accepted;
}

static void check(const struct codec_message *m, struct str in)
{
    struct buf first, second;

    buf_init(&first, MEMORY_MAX);
    buf_init(&second, MEMORY_MAX);
    if (turn(m, in, &first) && buf_ok(&first)) {
        assert(json_valid(in) && json_valid(buf_str(&first)));
        assert(turn(m, buf_str(&first), &second));
        assert(str_eq(buf_str(&first), buf_str(&second)));
    }
    buf_done(&first);
    buf_done(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct buf quoted;

    check(&sample_all_message, in);
    check(&sample_start_message, in);
    check(&sample_rest_message, in);
    buf_init(&quoted, MEMORY_MAX);
    json_quote(&quoted, in);
    assert(json_valid(buf_str(&quoted)));
    buf_done(&quoted);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The codec as a filter, for codec_diff.py: many inputs in one run.
 *
 *   codec_tool json-json|json-proto|proto-json|proto-proto|valid MESSAGE
 *
 * An input is its length in four bytes, big-endian, and itself. An answer is '+' or '-', a length
 * and the output or the error's text. */
#include <stdio.h>
#include <string.h>

#include "codec/codec.h"
#include "messages.h"

enum {
    INPUT_MAX = 8 << 20,
    MEMORY_MAX = 64 << 20,
    SAMPLE_WORDS = 256,
};

struct mode {
    const char *name;
    bool from_json, to_json;
};

static const struct mode modes[] = {
    {"json-json",   true,  true },
    {"json-proto",  true,  false},
    {"proto-json",  false, true },
    {"proto-proto", false, false},
    {"valid",       true,  true },
};

static bool convert(const struct mode *mode, const struct codec_message *m, struct str in,
                    struct buf *out)
{
    uint64_t sample[SAMPLE_WORDS] = {0};
    struct err err = {0};
    struct arena a;
    int result;

    if (strcmp(mode->name, "valid") == 0)
        return json_valid(in);
    arena_init(&a, MEMORY_MAX);
    result = (mode->from_json ? json_decode : proto_decode)(m, in, &a, sample, &err);
    if (result != 0)
        buf_add_text(out, err.text);
    else
        (mode->to_json ? json_encode : proto_encode)(m, sample, out);
    arena_done(&a);
    return result == 0 && buf_ok(out);
}

/* 1: read, 0: end, -1: broken. */
static int read_input(struct buf *in)
{
    uint8_t head[4];
    size_t len, got = fread(head, 1, sizeof(head), stdin);
    char *room;

    if (got != sizeof(head))
        return got == 0 ? 0 : -1;
    len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
    buf_clear(in);
    if (len == 0)
        return 1;
    room = buf_room(in, len);
    if (room == NULL || fread(room, 1, len, stdin) != len)
        return -1;
    buf_fill(in, len);
    return 1;
}

static void write_answer(bool is_good, struct str text)
{
    uint8_t head[5] = {is_good ? '+' : '-', (uint8_t)(text.len >> 24), (uint8_t)(text.len >> 16),
                       (uint8_t)(text.len >> 8), (uint8_t)text.len};

    fwrite(head, 1, sizeof(head), stdout);
    if (text.len > 0)
        fwrite(text.at, 1, text.len, stdout);
}

static int run(const struct mode *mode, const struct codec_message *m)
{
    struct buf in, out;
    int more;

    buf_init(&in, INPUT_MAX);
    buf_init(&out, MEMORY_MAX);
    while ((more = read_input(&in)) == 1) {
        bool is_good;

        buf_clear(&out);
        is_good = convert(mode, m, buf_str(&in), &out);
        write_answer(is_good, buf_str(&out));
    }
    buf_done(&in);
    buf_done(&out);
    return more == 0 && fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    const struct codec_message *m = argc == 3 ? sample_message(argv[2]) : NULL;

    for (size_t i = 0; m != NULL && i < COUNT_OF(modes); i++) {
        if (strcmp(argv[1], modes[i].name) == 0)
            return run(&modes[i], m);
    }
    fprintf(stderr, "usage: codec_tool MODE MESSAGE\n");
    return 2;
}

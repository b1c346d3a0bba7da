/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz codec: protobuf into sample messages. What was accepted has to survive both encodings. */
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

struct forms {
    struct buf json, proto;
};

static bool turn(const struct codec_message *m, struct str in, bool is_json, struct forms *out)
{
    uint64_t sample[SAMPLE_WORDS] = {0};
    struct err err = {0};
    struct arena a;
    int result;

    assert(m->size <= sizeof(sample));
    buf_init(&out->json, MEMORY_MAX);
    buf_init(&out->proto, MEMORY_MAX);
    arena_init(&a, MEMORY_MAX);
    result = (is_json ? json_decode : proto_decode)(m, in, &a, sample, &err);
    assert(result == 0 || err.kind == ERR_INVALID || err.kind == ERR_LIMIT);
    if (result == 0) {
        json_encode(m, sample, &out->json);
        proto_encode(m, sample, &out->proto);
    }
    arena_done(&a);
    return result == 0 && buf_ok(&out->json) && buf_ok(&out->proto);
}

static void done(struct forms *f)
{
    buf_done(&f->json);
    buf_done(&f->proto);
}

static void check(const struct codec_message *m, struct str in)
{
    struct forms first, by_proto, by_json;

    if (turn(m, in, false, &first)) {
        assert(turn(m, buf_str(&first.proto), false, &by_proto));
        assert(str_eq(buf_str(&first.json), buf_str(&by_proto.json)));
        assert(str_eq(buf_str(&first.proto), buf_str(&by_proto.proto)));
        done(&by_proto);
        assert(turn(m, buf_str(&first.json), true, &by_json));
        assert(str_eq(buf_str(&first.json), buf_str(&by_json.json)));
        done(&by_json);
    }
    done(&first);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};

    check(&sample_all_message, in);
    check(&sample_start_message, in);
    check(&sample_event_message, in);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http/connect: a stream of envelopes, whole and byte by byte. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "codec/codec.h"
#include "http/connect.h"

enum {
    PAYLOAD_MAX = 300,
    ANSWER_MAX = 1 << 20,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A shorter view may only ask for more, until all is there. */
static void check_prefixes(struct str in, ssize_t used)
{
    struct str payload;
    uint8_t flags;

    for (size_t len = 0; len < in.len && len < (size_t)used; len++)
        assert(envelope_parse(str_upto(in, len), PAYLOAD_MAX, &flags, &payload) == 0);
}

static void check_stream(struct str in)
{
    struct str payload;
    uint8_t flags, head[ENVELOPE_HEAD];
    ssize_t used;

    while ((used = envelope_parse(in, PAYLOAD_MAX, &flags, &payload)) > 0) {
        assert((size_t)used == ENVELOPE_HEAD + payload.len && payload.len <= PAYLOAD_MAX);
        assert((size_t)used <= in.len && (flags & ENVELOPE_COMPRESSED) == 0);
        check_prefixes(in, used);
        envelope_head(flags, (uint32_t)payload.len, head);
        assert(memcmp(head, in.at, sizeof(head)) == 0);
        in = str_from(in, (size_t)used);
    }
    assert(used == 0 || used == -1);
}

/* Cut anywhere, the same envelopes come out, and the same end. */
static void check_pieces(struct str in)
{
    struct str whole = in, payload;
    struct buf gathered;
    size_t step = 1, at = 0;
    uint8_t flags;
    ssize_t used = 0, taken = 0;

    buf_init(&gathered, PAYLOAD_MAX + ENVELOPE_HEAD);
    while (at < in.len && taken >= 0) {
        struct str piece = str_upto(str_from(in, at), step);
        struct envelope e;

        taken = envelope_gather(&gathered, piece, PAYLOAD_MAX, &e);
        assert(taken <= (ssize_t)piece.len && (taken != 0 || piece.len == 0));
        at += taken > 0 ? (size_t)taken : 0;
        step = step % 13 + (unsigned char)piece.at[0] % 3 + 1;
        if (!e.is_whole)
            continue;
        used = envelope_parse(whole, PAYLOAD_MAX, &flags, &payload);
        assert(used > 0 && flags == e.flags && str_eq(payload, e.payload));
        whole = str_from(whole, (size_t)used);
        buf_done(&gathered);
    }
    used = envelope_parse(whole, PAYLOAD_MAX, &flags, &payload);
    assert(used == (taken < 0 ? -1 : 0) && (taken < 0 || gathered.len == whole.len));
    buf_done(&gathered);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size}, payload;
    struct buf b;
    uint8_t flags;

    check_stream(in);
    check_pieces(in);
    ignore(connect_form_of(in)); /* must not read beyond its end */
    buf_init(&b, ANSWER_MAX);
    envelope_end(&b, CONNECT_INTERNAL, in);
    assert(buf_ok(&b));
    assert(envelope_parse(buf_str(&b), ANSWER_MAX, &flags, &payload) == (ssize_t)b.len);
    assert(flags == ENVELOPE_END && json_valid(payload));
    buf_done(&b);
    return 0;
}

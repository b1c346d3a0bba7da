/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http: a chunked body, whole and byte by byte: the same payload, the same verdict, the same
 * end. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"
#include "http/head.h"

enum { PAYLOAD_MAX = 1 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* 1 done, 0 more needed, -1 malformed. */
static int decode_into(struct str in, size_t step, struct http_chunks *c, struct buf *out,
                       size_t *used)
{
    size_t seen = 0;

    *used = 0;
    while (seen < in.len && !c->is_done) {
        ssize_t n;

        seen = in.len - seen < step ? in.len : seen + step;
        do {
            struct str payload;

            n = http_chunks_next(c, str_from(str_upto(in, seen), *used), &payload);
            if (n < 0)
                return -1;
            assert(*used + (size_t)n <= seen && payload.len <= (size_t)n);
            buf_add_str(out, payload);
            *used += (size_t)n;
        } while (n > 0 && !c->is_done);
    }
    return c->is_done ? 1 : 0;
}

/* The same, with the trailers behind the payload. */
static int decode(struct str in, size_t step, struct buf *out, size_t *used)
{
    struct buf trailers = {0};
    struct http_chunks c = {.trailers = &trailers};
    int verdict = decode_into(in, step, &c, out, used);

    assert(buf_ok(&trailers));
    /* What is kept is whole lines: it may be sent on as it is. */
    assert(verdict != 1 || trailers.len == 0 ||
           (trailers.len > 2 && memcmp(trailers.at + trailers.len - 2, "\r\n", 2) == 0));
    assert(verdict != 1 || trailers.len == 0 ||
           memmem(trailers.at, trailers.len, "\r\n\r\n", 4) == NULL);
    buf_add_str(out, buf_str(&trailers));
    buf_done(&trailers);
    return verdict;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct buf whole, slow;
    size_t used_whole, used_slow;
    int verdict;

    buf_init(&whole, PAYLOAD_MAX);
    buf_init(&slow, PAYLOAD_MAX);
    verdict = decode(in, SIZE_MAX / 2, &whole, &used_whole);
    assert(verdict == decode(in, 1, &slow, &used_slow));
    assert(str_eq(buf_str(&whole), buf_str(&slow)));
    assert(verdict < 0 || used_whole == used_slow);
    assert(verdict != 0 || used_whole == size);
    buf_done(&whole);
    buf_done(&slow);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz http: frames of a WebSocket, whole and by the byte: the same frames, the same end. What was
 * read and is sent again is read the same. */
#include <assert.h>
#include <stdlib.h>

#include "http/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    unsigned frames;
    size_t used;
    enum ws_code code; /* 0: it did not fail */
    uint64_t sum;
};

static void check_again(const struct ws_frame *f)
{
    struct ws_order order = {.is_open = f->opcode == WS_CONTINUED};
    struct ws_frame again;
    uint8_t head[WS_HEAD_MAX];
    enum ws_code code;
    size_t len = ws_frame_put(f->opcode, f->length, f->is_masked ? f->mask : NULL, head);
    ssize_t used = ws_frame_head((struct str){(const char *)head, len}, &order, &again, &code);

    assert(used == (ssize_t)len && again.length == f->length && again.opcode == f->opcode);
    assert(again.is_masked == f->is_masked && memcmp(again.mask, f->mask, WS_MASK) == 0);
}

static struct seen run(struct str all, size_t step)
{
    struct seen s = {0};
    struct ws_order order = {0};
    struct ws_frame f;
    size_t end = 0;

    while (s.code == 0 && end < all.len) {
        ssize_t used = 1;

        end = all.len - end < step ? all.len : end + step;
        while (used > 0 && s.used < end) {
            enum ws_code code;

            used = ws_frame_head(str_from(str_upto(all, end), s.used), &order, &f, &code);
            if (used < 0)
                s.code = code;
            if (used <= 0)
                break;
            assert(f.length <= WS_MESSAGE_MAX && order.size <= WS_MESSAGE_MAX);
            check_again(&f);
            s.frames++;
            s.sum = s.sum * 31 + f.length + f.opcode;
            s.used += (size_t)used + f.length; /* may lead past the end: then it is over */
        }
    }
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str all = {(const char *)data, size};
    struct seen whole = run(all, SIZE_MAX / 2), slow = run(all, 1);

    assert(whole.frames == slow.frames && whole.code == slow.code && whole.sum == slow.sum);
    return 0;
}

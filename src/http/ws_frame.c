/* SPDX-License-Identifier: Apache-2.0 */
/* See ws_frame.h. */
#include "http/ws_frame.h"

enum {
    FINAL = 0x80,
    RESERVED = 0x70,
    OPCODE = 0x0f,
    MASKED = 0x80,
    LENGTH_16 = 126,
    LENGTH_64 = 127,
};

static bool is_control(uint8_t opcode)
{
    return opcode >= WS_CLOSE;
}

static bool is_known(uint8_t opcode)
{
    return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static uint64_t read_number(const uint8_t *at, size_t size)
{
    uint64_t n = 0;

    for (size_t i = 0; i < size; i++)
        n = n << 8 | at[i];
    return n;
}

/* Does it fit what came before? A control frame may come anywhere. */
static bool is_in_order(const struct ws_order *order, const struct ws_frame *f)
{
    return is_control(f->opcode) || (f->opcode == WS_CONTINUED) == order->is_open;
}

static void count(struct ws_order *order, const struct ws_frame *f)
{
    if (is_control(f->opcode))
        return;
    order->is_open = !f->is_final;
    order->size = f->is_final ? 0 : order->size + f->length;
}

static size_t size_of_length(uint8_t first)
{
    if (first < LENGTH_16)
        return 0;
    return first == LENGTH_16 ? 2 : 8;
}

ssize_t ws_frame_head(struct str in, struct ws_order *order, struct ws_frame *out,
                      enum ws_code *out_code)
{
    const uint8_t *at = (const uint8_t *)in.at;
    struct ws_frame f = {0};
    size_t size;

    *out_code = WS_PROTOCOL;
    if (in.len < 2)
        return 0;
    f.is_final = (at[0] & FINAL) != 0;
    f.opcode = at[0] & OPCODE;
    f.is_masked = (at[1] & MASKED) != 0;
    f.length = at[1] & ~MASKED;
    size = size_of_length((uint8_t)f.length);
    if ((at[0] & RESERVED) != 0 || !is_known(f.opcode) || !is_in_order(order, &f) ||
        (is_control(f.opcode) && (!f.is_final || f.length > WS_CONTROL_MAX)))
        return -1;
    if (in.len < 2 + size + (f.is_masked ? WS_MASK : 0))
        return 0;
    if (size > 0)
        f.length = read_number(at + 2, size);
    if ((size == 2 && f.length < LENGTH_16) || (size == 8 && f.length <= UINT16_MAX))
        return -1;
    if (f.length > WS_MESSAGE_MAX || order->size + f.length > WS_MESSAGE_MAX) {
        *out_code = WS_TOO_LARGE;
        return -1;
    }
    if (f.is_masked)
        memcpy(f.mask, at + 2 + size, WS_MASK);
    count(order, &f);
    *out = f;
    return (ssize_t)(2 + size + (f.is_masked ? WS_MASK : 0));
}

size_t ws_frame_put(uint8_t opcode, uint64_t length, const uint8_t *mask, uint8_t out[WS_HEAD_MAX])
{
    uint8_t first = (uint8_t)length;
    size_t size;

    if (length >= LENGTH_16)
        first = length <= UINT16_MAX ? LENGTH_16 : LENGTH_64;
    size = size_of_length(first);
    out[0] = FINAL | opcode;
    out[1] = first | (mask == NULL ? 0 : MASKED);
    for (size_t i = 0; i < size; i++)
        out[2 + i] = (uint8_t)(length >> (8 * (size - 1 - i)));
    if (mask == NULL)
        return 2 + size;
    memcpy(out + 2 + size, mask, WS_MASK);
    return 2 + size + WS_MASK;
}

void ws_mask(char *data, size_t len, const uint8_t mask[WS_MASK], uint64_t offset)
{
    for (size_t i = 0; i < len; i++)
        data[i] = (char)(data[i] ^ mask[(offset + i) % WS_MASK]);
}

bool ws_code_is_good(unsigned code)
{
    return (code >= WS_NORMAL && code <= 1014 && code != 1004 && code != WS_NO_CODE &&
            code != WS_ABNORMAL) ||
           (code >= 3000 && code <= 4999);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Base64. Used for bytes in JSON, basic authorization and the WebSocket handshake. */
#include "base/digest.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encoded_len(size_t len)
{
    return len / 3 * 4 + (len % 3 > 0 ? 4 : 0);
}

void base64_encode(struct buf *out, const void *data, size_t len)
{
    const uint8_t *from = data;
    char *room, *to;

    if (len == 0)
        return;
    room = to = buf_room(out, base64_encoded_len(len));
    if (room == NULL)
        return;
    for (; len >= 3; from += 3, len -= 3) {
        *to++ = digits[from[0] >> 2];
        *to++ = digits[(from[0] & 3) << 4 | from[1] >> 4];
        *to++ = digits[(from[1] & 15) << 2 | from[2] >> 6];
        *to++ = digits[from[2] & 63];
    }
    if (len > 0) {
        uint8_t second = len > 1 ? from[1] : 0;

        *to++ = digits[from[0] >> 2];
        *to++ = digits[(from[0] & 3) << 4 | second >> 4];
        *to++ = len > 1 ? digits[(second & 15) << 2] : '=';
        *to++ = '=';
    }
    buf_fill(out, (size_t)(to - room));
}

size_t base64_decoded_max(size_t len)
{
    return len / 4 * 3 + len % 4;
}

static int value_of(char digit)
{
    if (digit >= 'A' && digit <= 'Z')
        return digit - 'A';
    if (digit >= 'a' && digit <= 'z')
        return digit - 'a' + 26;
    if (digit >= '0' && digit <= '9')
        return digit - '0' + 52;
    if (digit == '+' || digit == '-')
        return 62;
    if (digit == '/' || digit == '_')
        return 63;
    return -1;
}

/* Padding is all or nothing: to a multiple of four, or none at all. */
static bool take_padding(struct str *text)
{
    size_t len = text->len;

    while (len > 0 && text->at[len - 1] == '=' && text->len - len < 2)
        len--;
    if (len != text->len && text->len % 4 != 0)
        return false;
    text->len = len;
    return len % 4 != 1;
}

ssize_t base64_decode(struct str text, uint8_t *out)
{
    uint32_t bits = 0;
    unsigned held = 0; /* how many of the low bits are not written yet */
    uint8_t *to = out;

    if (!take_padding(&text))
        return -1;
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.at[i]);

        if (value < 0)
            return -1;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            *to++ = (uint8_t)(bits >> held);
            bits &= (1U << held) - 1;
        }
    }
    return bits == 0 ? to - out : -1;
}

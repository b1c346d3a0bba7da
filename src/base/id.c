/* SPDX-License-Identifier: Apache-2.0 */
/* Random identifiers. Used by domain for ids and keys, by http for masks. */
#include "base/id.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/own.h"

void id_random(void *out, size_t len)
{
    char *to = out;

    while (len > 0) {
        ssize_t got = getrandom(to, len, 0);

        if (got < 0 && errno != EINTR)
            abort(); /* without randomness there are no secrets: never go on */
        if (got > 0) {
            to += got;
            len -= (size_t)got;
        }
    }
}

void id_text(char *out, size_t len)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    enum {
        FAIR = 252 /* 7 * 36: bytes from here on would favour the first letters */
    };
    size_t done = 0;

    while (done < len) {
        uint8_t drawn[64];

        id_random(drawn, sizeof(drawn));
        for (size_t i = 0; i < sizeof(drawn) && done < len; i++) {
            if (drawn[i] < FAIR)
                out[done++] = digits[drawn[i] % 36];
        }
    }
    out[len] = '\0';
}

void id_sandbox(char out[SANDBOX_ID_LEN + 1])
{
    out[0] = 'i';
    id_text(out + 1, SANDBOX_ID_LEN - 1);
}

static void put_uuid(const uint8_t *from, char *out)
{
    static const uint8_t group_bytes[] = {4, 2, 2, 2, 6};

    for (size_t i = 0; i < sizeof(group_bytes); i++) {
        if (i > 0)
            *out++ = '-';
        hex_encode(from, group_bytes[i], out);
        out += 2 * group_bytes[i];
        from += group_bytes[i];
    }
}

void id_uuid(char out[UUID_LEN + 1])
{
    uint8_t drawn[16];

    id_random(drawn, sizeof(drawn));
    drawn[6] = (uint8_t)((drawn[6] & 0x0f) | 0x40); /* version 4 */
    drawn[8] = (uint8_t)((drawn[8] & 0x3f) | 0x80); /* RFC 4122 variant */
    put_uuid(drawn, out);
}

void id_uuid_at(int64_t wall_ms, unsigned count, char out[UUID_LEN + 1])
{
    uint8_t bytes[16];

    id_random(bytes, sizeof(bytes));
    for (size_t i = 0; i < 6; i++)
        bytes[i] = (uint8_t)((uint64_t)wall_ms >> (40 - 8 * i));
    bytes[6] = (uint8_t)(0x70 | ((count >> 8) & 0x0f)); /* version 7 */
    bytes[7] = (uint8_t)count;
    bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
    put_uuid(bytes, out);
}

void id_token(char out[TOKEN_HEX_LEN + 1])
{
    uint8_t drawn[TOKEN_HEX_LEN / 2];

    id_random(drawn, sizeof(drawn));
    hex_encode(drawn, sizeof(drawn), out);
}

void id_api_key(char out[API_KEY_LEN + 1])
{
    static const char prefix[] = "e2b_";
    uint8_t drawn[(API_KEY_LEN - (sizeof(prefix) - 1)) / 2];

    id_random(drawn, sizeof(drawn));
    memcpy(out, prefix, sizeof(prefix) - 1);
    hex_encode(drawn, sizeof(drawn), out + sizeof(prefix) - 1);
}

void hex_encode(const void *data, size_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = data;

    for (size_t i = 0; i < len; i++) {
        *out++ = digits[from[i] >> 4];
        *out++ = digits[from[i] & 15];
    }
    *out = '\0';
}

int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

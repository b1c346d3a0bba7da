/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-1 (FIPS 180-4) of a short text; see digest.h. Called by http/websocket.c. */
#include "base/digest.h"

enum {
    BLOCK = 64,
    ROUNDS = 80,
};

static uint32_t rotate(uint32_t x, unsigned bits)
{
    return x << bits | x >> (32 - bits);
}

static uint32_t mix(unsigned round, uint32_t b, uint32_t c, uint32_t d)
{
    if (round < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (round < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (round < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

static void add_block(uint32_t state[5], const uint8_t block[BLOCK])
{
    uint32_t w[ROUNDS], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];

    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (unsigned i = 16; i < ROUNDS; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t next = rotate(a, 5) + mix(i, b, c, d) + e + w[i];

        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

void sha1_of(struct str data, uint8_t out[SHA1_SIZE])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint64_t bits = (uint64_t)data.len * 8;
    uint8_t block[BLOCK] = {0};

    for (; data.len >= BLOCK; data = str_from(data, BLOCK)) {
        memcpy(block, data.at, BLOCK);
        add_block(state, block);
    }
    memset(block, 0, BLOCK);
    if (data.len > 0)
        memcpy(block, data.at, data.len);
    block[data.len] = 0x80;
    if (data.len >= BLOCK - 8) { /* no room for the length */
        add_block(state, block);
        memset(block, 0, BLOCK);
    }
    for (unsigned i = 0; i < 8; i++)
        block[BLOCK - 1 - i] = (uint8_t)(bits >> (8 * i));
    add_block(state, block);
    for (unsigned i = 0; i < SHA1_SIZE; i++)
        out[i] = (uint8_t)(state[i / 4] >> (24 - 8 * (i % 4)));
}

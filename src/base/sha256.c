/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and HMAC-SHA-256. Used for API keys, tokens, signatures and content addresses. */
#include "base/digest.h"

static const uint32_t round_constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

enum {
    BLOCK_SIZE = 64,
    LENGTH_AT = 56, /* where the message length stands in the last block */
};

static uint32_t rotate(uint32_t v, unsigned by)
{
    return v >> by | v << (32 - by);
}

static uint32_t load_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void store_be32(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 24);
    p[1] = (uint8_t)(v >> 16);
    p[2] = (uint8_t)(v >> 8);
    p[3] = (uint8_t)v;
}

static void fill_schedule(uint32_t w[64], const uint8_t *block)
{
    for (size_t i = 0; i < 16; i++)
        w[i] = load_be32(block + 4 * i);
    for (size_t i = 16; i < 64; i++) {
        uint32_t s0 = rotate(w[i - 15], 7) ^ rotate(w[i - 15], 18) ^ w[i - 15] >> 3;
        uint32_t s1 = rotate(w[i - 2], 17) ^ rotate(w[i - 2], 19) ^ w[i - 2] >> 10;

        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
}

static void add_block(uint32_t state[8], const uint8_t *block)
{
    uint32_t w[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];

    fill_schedule(w, block);
    for (size_t i = 0; i < 64; i++) {
        uint32_t t1 = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) +
                      round_constants[i] + w[i];
        uint32_t t2 =
            (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));

        h = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
}

void sha256_init(struct sha256 *h)
{
    *h = (struct sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                  0x1f83d9ab, 0x5be0cd19},
    };
}

void sha256_add(struct sha256 *h, const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t held = h->bytes % BLOCK_SIZE;

    h->bytes += len;
    if (held > 0) {
        size_t part = len < BLOCK_SIZE - held ? len : BLOCK_SIZE - held;

        if (part > 0)
            memcpy(h->block + held, from, part);
        if (held + part < BLOCK_SIZE)
            return;
        add_block(h->state, h->block);
        from += part;
        len -= part;
    }
    for (; len >= BLOCK_SIZE; from += BLOCK_SIZE, len -= BLOCK_SIZE)
        add_block(h->state, from);
    if (len > 0)
        memcpy(h->block, from, len);
}

void sha256_end(struct sha256 *h, uint8_t out[SHA256_SIZE])
{
    static const uint8_t padding[BLOCK_SIZE] = {0x80};
    uint64_t bits = h->bytes * 8;
    size_t held = h->bytes % BLOCK_SIZE;
    uint8_t length[8];

    sha256_add(h, padding, (held < LENGTH_AT ? LENGTH_AT : LENGTH_AT + BLOCK_SIZE) - held);
    store_be32(length, (uint32_t)(bits >> 32));
    store_be32(length + 4, (uint32_t)bits);
    sha256_add(h, length, sizeof(length));
    for (size_t i = 0; i < 8; i++)
        store_be32(out + 4 * i, h->state[i]);
    explicit_bzero(h, sizeof(*h)); /* it may have been a secret */
}

void sha256_of(struct str data, uint8_t out[SHA256_SIZE])
{
    struct sha256 h;

    sha256_init(&h);
    sha256_add(&h, data.at, data.len);
    sha256_end(&h, out);
}

void hmac_sha256(struct str key, struct str data, uint8_t out[SHA256_SIZE])
{
    uint8_t pad[BLOCK_SIZE] = {0};
    struct sha256 h;

    if (key.len > BLOCK_SIZE)
        sha256_of(key, pad);
    else if (key.len > 0)
        memcpy(pad, key.at, key.len);

    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36;
    sha256_init(&h);
    sha256_add(&h, pad, sizeof(pad));
    sha256_add(&h, data.at, data.len);
    sha256_end(&h, out);

    for (size_t i = 0; i < sizeof(pad); i++)
        pad[i] ^= 0x36 ^ 0x5c;
    sha256_init(&h);
    sha256_add(&h, pad, sizeof(pad));
    sha256_add(&h, out, SHA256_SIZE);
    sha256_end(&h, out);
    explicit_bzero(pad, sizeof(pad));
}

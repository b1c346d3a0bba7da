/* SPDX-License-Identifier: Apache-2.0 */
/* Used by gunzip.c and gzip.c. */
#include "codec/crc32.h"

void crc32_init(struct crc32 *c)
{
    c->value = 0;
    for (uint32_t i = 0; i < COUNT_OF(c->table); i++) {
        uint32_t rest = i;

        for (int bit = 0; bit < 8; bit++)
            rest = (rest >> 1) ^ ((rest & 1) != 0 ? 0xedb88320u : 0);
        c->table[i] = rest;
    }
}

void crc32_add(struct crc32 *c, struct str data)
{
    uint32_t value = ~c->value;

    for (size_t i = 0; i < data.len; i++)
        value = c->table[(value ^ (uint8_t)data.at[i]) & 0xff] ^ value >> 8;
    c->value = ~value;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Prefix codes for gzip.c: lengths from frequencies (Huffman, with a limit), then the canonical
 * codes of RFC 1951, 3.2.2, first bit lowest as they are written. */
#ifndef CODEC_PREFIX_CODE_H
#define CODEC_PREFIX_CODE_H

#include <stdint.h>

enum { PREFIX_SYMBOLS_MAX = 288 };

struct prefix_code {
    uint8_t lengths[PREFIX_SYMBOLS_MAX]; /* 0: the symbol does not occur */
    uint16_t codes[PREFIX_SYMBOLS_MAX];
};

/* `frequencies` of `count` symbols, their sum below 2^16 * 4. At least two symbols get a code (some
 * decoders want a complete one), none longer than `limit` (at most 15). */
void prefix_lengths(struct prefix_code *c, const uint32_t *frequencies, unsigned count,
                    unsigned limit);
/* From c->lengths. */
void prefix_codes(struct prefix_code *c, unsigned count);

#endif

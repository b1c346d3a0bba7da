/* SPDX-License-Identifier: Apache-2.0 */
/* DEFLATE decoder (RFC 1951), pushed: compressed bytes go in as they arrive, content comes out in
 * runs of at most INFLATE_WINDOW bytes. Memory is the struct, whatever the data says; a byte in is
 * at most 1032 bytes out, so the caller bounds a step by the length of what it feeds. Used through
 * codec/gunzip.h, which adds the file format and its checks. */
#ifndef CODEC_INFLATE_H
#define CODEC_INFLATE_H

#include "base/err.h"
#include "base/str.h"

enum {
    INFLATE_WINDOW = 32 << 10, /* furthest distance of RFC 1951 */
    INFLATE_LITERALS = 288,
    INFLATE_DISTANCES = 32,
    INFLATE_FAST_BITS = 9, /* codes up to this length are found in one look */
};

/* Takes content on its way out; -1 with *err set to stop. `data` is valid during the call only. */
typedef int inflate_fn(void *ctx, struct str data, struct err *err);

/* A prefix code: by length for any code, by its first bits for short ones. */
struct inflate_code {
    uint16_t counts[16]; /* codes of each length */
    uint16_t symbols[INFLATE_LITERALS];
    uint16_t fast[1 << INFLATE_FAST_BITS]; /* symbol << 4 | length; 0: longer or none */
};

/* Callers embed it in memory of their own and look at is_done only. */
struct inflate {
    inflate_fn *fn;
    void *ctx;
    bool is_done; /* the last block has ended */
    uint8_t state;
    bool is_last;       /* block */
    unsigned bit_count; /* valid bits of `bits`; those above are zero or will be read again */
    uint64_t bits;
    size_t at, flushed;   /* in the window; what lies between has not been told */
    bool is_filled;       /* the window was filled once: any distance is inside */
    uint32_t stored_left; /* bytes of a stored block */
    unsigned literal_count, distance_count, length_count; /* of a dynamic block's head */
    unsigned have;                                        /* lengths read of it */
    uint8_t lengths[INFLATE_LITERALS + INFLATE_DISTANCES];
    struct inflate_code literals, distances; /* `distances` is the code of lengths before that */
    uint8_t window[INFLATE_WINDOW];
};

void inflate_init(struct inflate *z, inflate_fn *fn, void *ctx);
/* Eats from the front of *in until it is empty or is_done. ERR_INVALID for what is no DEFLATE data;
 * what came before the mistake was told. */
must_check int inflate_run(struct inflate *z, struct str *in, struct err *err);
/* Once is_done: begin another stream with the bytes that follow. */
void inflate_next(struct inflate *z);
/* Once is_done, or before any run: the next whole byte, part of which may have been read ahead.
 * False: none is left. */
bool inflate_byte(struct inflate *z, struct str *in, uint8_t *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Writer of gzip files (RFC 1952) with bounded memory: content goes in, compressed bytes come out
 * in a buffer of the caller's. Made for text on its way to a client that asked for it: one pass,
 * short hash chains, a code per block. Content that does not get shorter is stored, so the output
 * is never more than 0.05 % and 40 bytes above the input. */
#ifndef CODEC_GZIP_H
#define CODEC_GZIP_H

#include "base/buf.h"

enum {
    GZIP_BLOCK = 32 << 10, /* content bytes of a block, and most bytes in one gzip_add() */
    GZIP_OUT_MAX = GZIP_BLOCK + 512, /* bytes that one call appends at most */
};

struct gzip;

/* NULL: no memory. About 300 KiB. */
struct gzip *gzip_new(void);
void gzip_free(struct gzip *z);
/* Compress at most GZIP_BLOCK bytes and append to `out`. The first call writes the file's head. */
void gzip_add(struct gzip *z, struct str data, struct buf *out);
/* The last block, the check value, the length. */
void gzip_end(struct gzip *z, struct buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The plain bytes of a file that may be compressed (gzip, zstd, xz, bzip2, told by its first
 * bytes), hashed as they pass, with an end to what a bomb may unfold. */
#ifndef IMAGE_INFLOW_H
#define IMAGE_INFLOW_H

#include "base/err.h"
#include "image/digest.h"

struct inflow;

struct inflow_limits {
    uint64_t bytes_max; /* plain bytes of the whole file */
    uint64_t ratio_max; /* of plain to compressed bytes, once INFLOW_RATIO_FROM are out */
};

enum {
    INFLOW_BLOCK = 128 << 10,
    INFLOW_RATIO_FROM = 256 << 20, /* small files of zeroes are no bombs */
};

/* Reads the descriptor from where it stands; it stays the caller's. */
must_check int inflow_open(int fd, const struct inflow_limits *limits, struct inflow **out,
                           struct err *err);
void inflow_close(struct inflow *f); /* NULL is fine */
/* Up to INFLOW_BLOCK bytes, good until the next call; an empty slice at the end. */
must_check int inflow_read(struct inflow *f, struct str *out, struct err *err);
/* Reads what is left, and tells the digest of all plain bytes. */
must_check int inflow_end(struct inflow *f, struct digest *out, struct err *err);

#endif

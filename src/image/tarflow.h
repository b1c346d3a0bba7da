/* SPDX-License-Identifier: Apache-2.0 */
/* The entries of a tar file that may be compressed. Two libarchive readers in a row: the first
 * takes the compression off (inflow.h), the second reads tar from it, so that the plain bytes can
 * be hashed and counted in between. */
#ifndef IMAGE_TARFLOW_H
#define IMAGE_TARFLOW_H

#include <archive.h>
#include <archive_entry.h>

#include "image/inflow.h"

struct tarflow;

/* Reads the descriptor from where it stands; it stays the caller's. */
must_check int tarflow_open(int fd, const struct inflow_limits *limits, struct tarflow **out,
                            struct err *err);
void tarflow_close(struct tarflow *t); /* NULL is fine */
/* The next entry, libarchive's; NULL at the end. */
must_check int tarflow_next(struct tarflow *t, struct archive_entry **out, struct err *err);
/* A part of the present entry's content: *out_len bytes at `offset` of the file; 0 at its end. */
struct tarflow_part {
    const char *at;
    size_t len;
    int64_t offset;
};
must_check int tarflow_data(struct tarflow *t, struct tarflow_part *out, struct err *err);
/* Behind the last entry: the rest is read, for it is in the digest of the plain bytes. */
must_check int tarflow_end(struct tarflow *t, struct digest *out, struct err *err);
/* The name of an entry, in the encoding of the archive. NULL: it cannot be read. */
const char *tarflow_name(struct archive_entry *e);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Writes a tar file of blobs and documents. Users: export.c. */
#ifndef IMAGE_LAYOUT_FILE_H
#define IMAGE_LAYOUT_FILE_H

#include "base/digest.h"
#include "base/err.h"
#include "image/digest.h"

struct layout_file {
    int fd;
    uint64_t at; /* where the next entry begins */
    /* Of the blob that is being written: */
    uint64_t size;
    struct sha256 hash;
};

/* All of it at once. */
must_check int layout_put(struct layout_file *f, const char *name, struct str text,
                          struct err *err);
/* A blob piece by piece: its name is the digest that its end tells. */
void layout_begin(struct layout_file *f);
must_check int layout_add(struct layout_file *f, struct str piece, struct err *err);
must_check int layout_end(struct layout_file *f, struct digest *out, uint64_t *out_size,
                          struct err *err);
/* A blob that is small. */
must_check int layout_blob(struct layout_file *f, struct str text, struct digest *out,
                           struct err *err);
/* The end of the archive; on the disk when it returns. */
must_check int layout_close(struct layout_file *f, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* One compressed layer on its way from a registry to a file. What a killed job has fetched is there
 * for the next one, which goes on behind it; nothing is used before its digest was checked. */
#ifndef IMAGE_BLOB_H
#define IMAGE_BLOB_H

#include "image/digest.h"
#include "image/registry.h"

struct blob {
    struct digest id;
    uint64_t size; /* as the manifest says; 0: it does not */
    int dir_fd;    /* borrowed */
    int fd;        /* -1: not open */
    char name[DIGEST_HEX + 16];
    bool is_shared; /* under its own name, which others may use afterwards */
    struct sha256 hash;
    uint64_t have, from; /* bytes in the file, and what of them is from another time */
    bool is_complete;
    unsigned tries, steps; /* from the start; of the present request */
    uint64_t max;
    struct fetch fetch;
    char url[FETCH_URL_MAX];
};

/* id and size are set. Opens the file and looks at what is in it. */
must_check int blob_open(struct blob *b, int dir_fd, uint64_t max, struct err *err);
void blob_close(struct blob *b);  /* what was fetched stays */
void blob_remove(struct blob *b); /* it is not needed any more */
/* Begins or goes on. Not when it is complete. */
must_check int blob_start(struct blob *b, struct fetcher *f, struct registry *r, struct err *err);
/* Its fetch has ended: complete, started again, or failed. */
must_check int blob_ended(struct blob *b, struct fetcher *f, struct registry *r, struct err *err);

#endif

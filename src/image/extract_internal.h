/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the extractor share: entry.c makes one entry, extract.c reads them. */
#ifndef IMAGE_EXTRACT_INTERNAL_H
#define IMAGE_EXTRACT_INTERNAL_H

#include "base/buf.h"
#include "image/beneath.h"
#include "image/extract.h"
#include "image/tarflow.h"

/* An entry's place: the open directory, its path, and the name in it. */
struct spot {
    int dir;
    char path[BENEATH_PATH_MAX]; /* of the directory */
    char name[BENEATH_NAME_MAX + 1];
};

struct extraction {
    const struct extract_spec *spec;
    struct tarflow *tar;
    int parent_fd; /* of the last entry's directory; -1: none is open */
    char parent[BENEATH_PATH_MAX];
    struct spot spot; /* of the present entry */
    char path[BENEATH_PATH_MAX];
    struct buf times; /* of directories: set at the end, because entries in them change them */
    uint64_t unchecked_bytes; /* written since the disk was looked at */
};

/* How much an archive may hold. */
struct inflow_limits extract_inflow(const struct extract_limits *limits);
/* Makes what the entry says. The archive stands at its content. */
must_check int entry_make(struct extraction *x, struct archive_entry *e, struct err *err);
void entry_forget_parent(struct extraction *x);
/* Times of the directories; a failure does not matter. */
void entry_set_times(struct extraction *x);
/* Takes `bytes` from what may still be written. */
must_check int entry_charge(struct extraction *x, uint64_t bytes, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The archives that clients upload for COPY steps: files below one directory, by team and by the
 * hash the client gave them. A file is whole and durable, or not there: it is written beside and
 * renamed. Of one that nobody used for UPLOAD_KEEP_S nothing is kept. Users: api/uploads.c writes,
 * context.c reads.
 * push_store.c writes its files the same way. */
#ifndef BUILD_UPLOAD_STORE_H
#define BUILD_UPLOAD_STORE_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"

enum {
    UPLOAD_PATH_MAX = 1200,
    UPLOAD_KEEP_S = 7 * 24 * 3600,
    UPLOAD_SWEEP_S = 3600,
    UPLOAD_SYNC_STEP = 16 << 20, /* bytes after which the disk is asked to begin */
};

/* Of these texts only [a-z0-9-] is accepted: ERR_INVALID otherwise. */
struct upload_name {
    const char *dir;
    struct str team_id, hash;
};

must_check int upload_path(const struct upload_name *n, char out[UPLOAD_PATH_MAX], struct err *err);
bool upload_is_there(const struct upload_name *n);
/* For reading; it counts as used. ERR_NOT_FOUND. */
must_check int upload_open(const struct upload_name *n, int *out_fd, uint64_t *out_size,
                           struct err *err);

struct upload_file {
    int fd; /* -1: closed */
    char path[UPLOAD_PATH_MAX];
    char part[UPLOAD_PATH_MAX]; /* what is written; the rename makes it the path */
    uint64_t size, synced;
};

must_check int upload_begin(struct upload_file *f, const struct upload_name *n, struct err *err);
/* In a directory that is there. The caller sets `path` before upload_end(). */
must_check int upload_begin_in(struct upload_file *f, const char *folder, mode_t mode,
                               struct err *err);
must_check int upload_write(struct upload_file *f, struct str data, struct err *err);
/* Durable under its name, replacing what was there. */
must_check int upload_end(struct upload_file *f, struct err *err);
void upload_discard(struct upload_file *f); /* harmless after upload_end() */

/* Removes what is old; at most once in UPLOAD_SWEEP_S. */
void upload_sweep(const char *dir);

#endif

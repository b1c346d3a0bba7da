/* SPDX-License-Identifier: Apache-2.0 */
/* What push_store.c and push_manifest.c share. */
#ifndef BUILD_PUSH_STORE_INTERNAL_H
#define BUILD_PUSH_STORE_INTERNAL_H

#include "base/digest.h"
#include "base/id.h"
#include "base/list.h"
#include "base/map.h"
#include "build/push_store.h"
#include "build/upload_store.h"

struct push_store {
    struct loop *loop;
    const char *dir; /* borrowed */
    uint64_t bytes_max;
    struct map builds; /* struct push_build, by id: those that something was done with */
    size_t upload_count;
};

struct push_build {
    struct push_store *store;
    char id[UUID_LEN + 1];
    uint64_t bytes; /* of blobs and uploads */
    size_t blob_count, upload_count;
    struct list uploads;
};

struct push_upload {
    struct list_node node; /* in its build's */
    struct push_build *build;
    char id[UUID_LEN + 1];
    struct upload_file file;
    struct sha256 hash;
    bool is_taken;
    struct timer idle; /* runs while nobody writes */
};

/* Of a file in a build's directory. */
must_check int push_path(const struct push_store *s, struct str build_id, const char *rest,
                         char out[UPLOAD_PATH_MAX], struct err *err);
/* With its directories; NULL: they cannot be made. */
struct push_build *push_build_get(struct push_store *s, struct str build_id, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Layers, names and holds on disk, for root:
 *
 *   data_dir/layers/HEX/          a layer's files, never written to again; HEX is the digest of it
 * and all below it, so stacks that begin alike share data_dir/images/holds/HOLDER  which layers
 * HOLDER needs, a name per line data_dir/images/names/HEX     what an administrator has imported;
 * HEX is the digest of its name data_dir/images/blobs/        compressed layers that are being
 * fetched data_dir/images/staging/      layers that are not complete
 *
 * A layer that nobody holds is removed by image_store_collect(), when it has not been used lately.
 * Blocking; for processes of their own (keeper.h, the command line). */
#ifndef IMAGE_STORE_H
#define IMAGE_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "image/digest.h"

struct image_store {
    int layers_fd, images_fd, holds_fd, names_fd, blobs_fd, staging_fd;
    int lock_fd; /* shared while somebody works, exclusive while layers are removed */
    const char *data_dir;
};

enum {
    IMAGE_UNHELD_S = 24 * 3600, /* a layer that nobody holds stays for so long */
    IMAGE_NAMES_MAX = 10000,
    IMAGE_RECORD_MAX = 256 << 10,
};

/* Makes the directories. data_dir is borrowed. Waits while layers are being removed. */
must_check int image_store_open(const char *data_dir, struct image_store *out, struct err *err);
void image_store_close(struct image_store *s);

bool image_store_has(const struct image_store *s, const struct digest *layer);
/* What was told of its files when it was added. */
uint64_t image_store_bytes(const struct image_store *s, const struct digest *layer);
/* A layer is moved in from `dir_fd`, where it has its own name. Its files are on disk. One that is
 * there already stays as it is. */
must_check int image_store_add(const struct image_store *s, int dir_fd, const struct digest *layer,
                               uint64_t bytes, struct err *err);

/* Replaces what the holder holds. ERR_INVALID: not a holder's name, or a layer is not there. */
must_check int image_store_hold(const struct image_store *s, struct str holder,
                                const struct digest *layers, size_t count, struct err *err);
/* Nothing there is fine. */
must_check int image_store_drop(const struct image_store *s, struct str holder, struct err *err);
/* Removes what nobody holds, and what was left half-made. ERR_CONFLICT: somebody works right now.
 */
must_check int image_store_collect(struct image_store *s, uint64_t unheld_s, size_t *out_count,
                                   struct err *err);

/* The digest of an image's full name, under which it is kept. */
struct digest image_store_key(struct str full_name);
must_check int image_store_name_put(const struct image_store *s, const struct digest *key,
                                    struct str record, struct err *err);
/* Appends to `out`. ERR_NOT_FOUND. */
must_check int image_store_name_get(const struct image_store *s, const struct digest *key,
                                    struct buf *out, struct err *err);
must_check int image_store_name_remove(const struct image_store *s, const struct digest *key,
                                       struct err *err);
typedef int image_name_fn(void *ctx, struct str record, struct err *err);
must_check int image_store_each_name(const struct image_store *s, image_name_fn *fn, void *ctx,
                                     struct err *err);

#endif

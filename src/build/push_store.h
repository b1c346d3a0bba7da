/* SPDX-License-Identifier: Apache-2.0 */
/* Images that are pushed, on the disk until their build has ended:
 *
 *   DIR/BUILD/blobs/sha256/HEX   configurations, layers and manifests, each with its digest
 *   DIR/BUILD/tags/TAG           the digest of a manifest
 *   DIR/BUILD/uploads/           blobs that are not complete
 *
 * A blob is whole, durable and has its digest, or it is not there. A worker of src/image reads it
 * all, as nobody, so the files are readable for everybody and DIR is not.
 *
 * An upload is a blob on its way, by as many requests as the client likes; one that nobody goes on
 * with for PUSH_IDLE_MS is removed. All work on the disk happens in the caller's turn of the loop,
 * piece by piece as the bytes come. */
#ifndef BUILD_PUSH_STORE_H
#define BUILD_PUSH_STORE_H

#include "base/buf.h"
#include "base/err.h"
#include "io/loop.h"

enum {
    PUSH_UPLOADS_MAX = 96,       /* at once, of all builds */
    PUSH_BUILD_UPLOADS_MAX = 24, /* of one */
    PUSH_BLOBS_MAX = 1024,       /* of one build */
    PUSH_MANIFEST_MAX = 1 << 20, /* bytes */
    PUSH_IDLE_MS = 10 * 60 * 1000,
    PUSH_DIGEST_LEN = 7 + 64, /* "sha256:" and the digits */
    PUSH_TYPE_MAX = 128,      /* of the text of a media type */
};

struct push_store;
struct push_upload;

/* `bytes_max`: of all blobs and uploads of a build. `dir` is made when it is needed. */
struct push_store *push_store_new(struct loop *l, const char *dir, uint64_t bytes_max);
void push_store_free(struct push_store *s); /* what is on the disk stays; NULL is fine */
/* Everything of a build goes; nothing there is fine. */
void push_store_forget(struct push_store *s, struct str build_id);

typedef bool push_keep_fn(void *ctx, struct str build_id);
/* After a restart: uploads go, and builds that `keeps` says no to. */
void push_store_sweep(struct push_store *s, push_keep_fn *keeps, void *ctx);

/* ERR_LIMIT: too many. */
must_check int push_upload_new(struct push_store *s, struct str build_id, struct push_upload **out,
                               struct err *err);
struct push_upload *push_upload_find(const struct push_store *s, struct str build_id,
                                     struct str id);
struct str push_upload_id(const struct push_upload *u);
uint64_t push_upload_size(const struct push_upload *u);
/* One request at a time writes to it: false, another one does. */
bool push_upload_take(struct push_upload *u);
void push_upload_give(struct push_upload *u);
/* ERR_LIMIT: the build has too many bytes; ERR_NO_SPACE. */
must_check int push_upload_write(struct push_upload *u, struct str data, struct err *err);
/* It becomes the blob, when it has this digest: ERR_INVALID. It is gone in any case. */
must_check int push_upload_end(struct push_upload *u, struct str digest, struct err *err);
void push_upload_drop(struct push_upload *u);

/* "sha256:" and 64 digits in lower case? No other kind is known here. */
bool push_digest_is_good(struct str digest);
/* For reading. ERR_NOT_FOUND. */
must_check int push_blob_open(const struct push_store *s, struct str build_id, struct str digest,
                              int *out_fd, uint64_t *out_size, struct err *err);

/* A manifest or index, kept as a blob. What it names must be there: ERR_NOT_FOUND. ERR_INVALID: it
 * is none. With `tag` that leads to it. */
must_check int push_manifest_put(struct push_store *s, struct str build_id, struct str text,
                                 struct str tag, char out_digest[PUSH_DIGEST_LEN + 1],
                                 struct err *err);
/* By digest or tag; its text is appended to `out`. ERR_NOT_FOUND. */
must_check int push_manifest_get(const struct push_store *s, struct str build_id,
                                 struct str reference, struct buf *out,
                                 char out_digest[PUSH_DIGEST_LEN + 1], struct err *err);
/* What it says it is, or what it looks like. */
void push_manifest_type(struct str text, char out[PUSH_TYPE_MAX + 1]);

#endif

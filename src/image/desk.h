/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker (keeper.h) may ask of the keeper: places to unpack layers into, and that they are
 * kept. One packet each way over a socket pair; the keeper is root and believes nothing. */
#ifndef IMAGE_DESK_H
#define IMAGE_DESK_H

#include "base/buf.h"
#include "base/err.h"
#include "image/digest.h"

enum {
    DESK_TEXT_MAX = 150 << 10, /* bytes behind the head of a packet */
    DESK_LAYERS_MAX = 128,
};

enum desk_op {
    DESK_FIND = 1, /* layer: is it there? The answer is a struct desk_layer */
    DESK_BEGIN,    /* layer: an empty directory for it; the answer carries it */
    DESK_OPAQUE,   /* layer, text: a directory in it hides what is below */
    DESK_NAME,     /* layer is a key: the record of an imported image */
    DESK_DONE,     /* text: all layers (struct desk_layer), then the record */
    DESK_FAIL,     /* kind, text: nothing will come of it */
};

/* A request, and the answer to it (kind: enum err_kind). `text` bytes follow. */
struct desk_head {
    uint32_t op, kind;
    uint32_t count; /* DESK_DONE: of layers */
    uint32_t text;
    struct digest layer;
};

struct desk_layer {
    struct digest id;
    uint64_t bytes; /* of its files */
};

struct desk {
    int fd;       /* of the socket pair */
    int blobs_fd; /* directory for what is being fetched */
};

/* ERR_NOT_FOUND: it has to be made. */
must_check int desk_find(struct desk *d, const struct digest *layer, struct desk_layer *out,
                         struct err *err);
/* Each layer once. The directory is removed when the layer does not become part of DESK_DONE. */
must_check int desk_begin(struct desk *d, const struct digest *layer, int *out_fd, struct err *err);
must_check int desk_opaque(struct desk *d, const struct digest *layer, const char *path,
                           struct err *err);
/* ERR_NOT_FOUND: nothing was imported under it. */
must_check int desk_name(struct desk *d, const struct digest *key, struct buf *out,
                         struct err *err);
/* The end: all layers of the image, lowest first, are kept and held, and `record` is the result. */
must_check int desk_done(struct desk *d, const struct desk_layer *layers, size_t count,
                         struct str record, struct err *err);
/* The other end. */
void desk_fail(struct desk *d, const struct err *why);

#endif

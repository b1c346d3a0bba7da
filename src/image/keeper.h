/* SPDX-License-Identifier: Apache-2.0 */
/* Does work on an image in two processes. The worker reads what strangers wrote: registries,
 * archives. It has no privilege, see confine.h, and asks the other one for what it needs (desk.h).
 * The keeper, the caller itself, is root and touches nothing but names it made: it gives out empty
 * directories, marks opaque ones, and moves complete layers to their place. When either dies, what
 * is not complete is removed, now or by the next one. */
#ifndef IMAGE_KEEPER_H
#define IMAGE_KEEPER_H

#include "image/desk.h"
#include "image/store.h"

/* In the worker; its return value means nothing: it ends with desk_done() or desk_fail(). */
typedef void worker_fn(void *ctx, struct desk *desk);

struct keeper_spec {
    struct image_store *store;
    uint32_t uid_base; /* of a range of 65536 that is nobody's */
    struct str holder; /* for whom the layers are kept; empty: nobody */
    struct digest key; /* with has_key: the record is kept under it */
    bool has_key;
    bool needs_network;
    uint64_t file_bytes; /* largest file that it writes */
    const int *fds;      /* that the worker keeps, at most KEEPER_FDS_MAX */
    size_t fd_count;
    int watch_fd; /* when its other end hangs up, the work ends; -1: none */
    uint64_t timeout_ms;
    worker_fn *fn;
    void *ctx;
};

enum { KEEPER_FDS_MAX = 4 };

/* Blocks until the end. The record is appended to `out`. The caller must have one thread. */
must_check int keeper_run(const struct keeper_spec *spec, struct buf *out, struct err *err);

#endif

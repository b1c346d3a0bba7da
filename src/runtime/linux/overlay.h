/* SPDX-License-Identifier: Apache-2.0 */
/* The root file system of a sandbox: a detached overlay of the template and an upper layer. */
#ifndef RUNTIME_LINUX_OVERLAY_H
#define RUNTIME_LINUX_OVERLAY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct overlay_spec {
    const char *rootfs;        /* lowest layer, never written */
    const char *const *layers; /* over it, lowest first; never written either */
    size_t layer_count;
    const char *dir; /* holds u (upper) and w (work) */
    int userns_fd;   /* layers are mapped through it; -1: taken as they are */
    uint32_t uid;    /* host id of the map's 0 */
    bool by_path;    /* give layers by path instead of by descriptor */
};

/* At most 128 layers. ERR_NO_SPACE: the disk of `dir` is full. Runs on a creator, in its stage (see
 * mounts.h). The mount is attached nowhere: *out_fd is all that holds it. */
must_check int overlay_make(const struct overlay_spec *spec, int *out_fd, struct err *err);

#endif

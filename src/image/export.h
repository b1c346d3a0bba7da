/* SPDX-License-Identifier: Apache-2.0 */
/* A template as one file: an image as an OCI layout in a tar file. Its one layer holds all files of
 * the template; what its record says is in the configuration, and in labels. Whatever reads images
 * reads it (bundle.h). */
#ifndef IMAGE_EXPORT_H
#define IMAGE_EXPORT_H

#include "codec/codec.h"
#include "image/digest.h"

struct export_spec {
    const char *data_dir;
    struct str rootfs;        /* a tree below data_dir/rootfs, */
    struct codec_list layers; /* struct str: those over it in data_dir/layers, lowest first, */
    struct str snapshot;      /* or, unless it is empty, a snapshot, which knows its own */
    struct str user, workdir;
    struct codec_list env, labels; /* struct codec_pair */
    struct codec_list ports;       /* struct str "80/tcp" */
};

struct exported {
    struct digest manifest;
    uint64_t bytes; /* of the file */
};

/* fd: an empty file. On the disk when it returns. For root, in a process that does nothing else: it
 * gets a mount namespace and a working directory of its own. */
must_check int export_write(const struct export_spec *spec, int fd, struct exported *out,
                            struct err *err);

#endif

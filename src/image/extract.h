/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacks one layer of an image (a tar file, perhaps compressed) into a directory, in the form that
 * an overlay stacks: a whiteout becomes a character device 0:0, an opaque directory is told to the
 * caller, who may mark it.
 *
 * The archive is a stranger's. Its paths are resolved beneath the directory by the kernel, ".." is
 * refused; devices are left out; owners above 65535, links to what is not there, whatever passes a
 * limit, ends it with an error. The directory is then to be thrown away. Set-user-id bits, file
 * capabilities, user attributes, times, hard links and holes are kept. Runs in a process that may
 * be lost (image/keeper.h). */
#ifndef IMAGE_EXTRACT_H
#define IMAGE_EXTRACT_H

#include "base/err.h"
#include "image/digest.h"

struct extract_limits {
    uint64_t bytes_max;   /* of all files together, holes counted */
    uint64_t entries_max; /* files, directories, links, whiteouts */
    uint64_t ratio_max;   /* see inflow.h */
    uint64_t free_bytes;  /* that must stay free on the disk */
};

/* Of all layers of an image together; starts zeroed. */
struct extract_usage {
    uint64_t bytes, entries, devices; /* devices: left out */
};

/* `path` (clean) is a directory that hides what is below it. */
typedef int opaque_fn(void *ctx, const char *path, struct err *err);

struct extract_spec {
    int archive_fd; /* read from where it stands */
    int root_fd;    /* an empty directory, of a file system that takes what is in the archive; or
                     * one that lower layers were unpacked into, see extract_erase() */
    bool is_lowest; /* nothing is below: whiteouts mean nothing */
    const struct extract_limits *limits;
    struct extract_usage *usage;
    opaque_fn *on_opaque;
    void *ctx;
};

/* *out_diff: of the plain archive. ERR_INVALID, ERR_LIMIT, ERR_UNSUPPORTED (owners), ERR_NO_SPACE,
 * ERR_SYSTEM. */
must_check int extract(const struct extract_spec *spec, struct digest *out_diff, struct err *err);
/* Removes from root_fd what the archive's whiteouts hide. To make one directory of several layers,
 * from the lowest on: this, then extract() with is_lowest, each from the archive's start. */
must_check int extract_erase(const struct extract_spec *spec, struct err *err);

#endif

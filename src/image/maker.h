/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the layers of an image that are not there yet, and its record; in a worker. Where the
 * archives come from is the caller's business (bundle.c: a file, puller.c: a registry).
 *
 * An image with more than MAKER_LAYERS_MAX archives becomes so many layers: its lowest archives are
 * unpacked into one directory. What is above them in a sandbox, of steps and pauses, needs room in
 * an overlay too. */
#ifndef IMAGE_MAKER_H
#define IMAGE_MAKER_H

#include "image/desk.h"
#include "image/extract.h"
#include "image/oci.h"

enum { MAKER_LAYERS_MAX = 32 };

typedef void say_fn(void *ctx, const char *line); /* progress, for people */

struct maker {
    struct desk *desk;
    say_fn *say;
    void *ctx;
    struct extract_limits limits;
    struct str reference; /* the full name */
    const char *source;   /* of struct image_result */
};

/* A layer's archive by its place from below, to be read from its start; perhaps twice. The
 * descriptor is the maker's; `close` is told when it was read, and may be NULL. */
struct layer_files {
    int (*open)(void *ctx, size_t index, int *out_fd, struct err *err);
    void (*close)(void *ctx, size_t index);
    void *ctx;
};

/* Which layers have to be made: out[i] for each of the configuration's. */
must_check int maker_missing(struct maker *m, const struct oci_config *c, bool *out,
                             struct err *err);
/* Ends with desk_done(), or fails. `digest`: of the manifest. */
must_check int maker_run(struct maker *m, const struct oci_config *c, const struct digest *digest,
                         const struct layer_files *files, struct err *err);
void maker_say(struct maker *m, const char *format, ...) printf_like(2, 3);

#endif

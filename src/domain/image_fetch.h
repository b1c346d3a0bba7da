/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs on images, as builds want them: a request to node's helper, lines while it works, its end.
 *
 *   fetch    `reference`, maybe `login`: what was imported here under that name, else the
 * registry's pushed   `repository`, `tag`: what was pushed to us drop     `holder` needs its layers
 * no more collect  layers that nobody needs go
 *
 * With `holder` ("build-<id>") the layers stay until they are dropped by that name: give one for
 * every template that stacks them. */
#ifndef DOMAIN_IMAGE_FETCH_H
#define DOMAIN_IMAGE_FETCH_H

#include "base/err.h"
#include "ipc/image_messages.h"

struct domain;
struct image_fetch;

struct image_fetch_events {
    void (*on_line)(void *ctx, struct str line); /* progress, for the log of a build; may be NULL */
    /* Once, from the loop; the fetch is gone then. result is valid during the call. */
    void (*on_end)(void *ctx, const struct image_result *result, const struct err *err);
};

/* The request is copied. */
must_check int image_fetch_start(struct domain *d, const struct image_request *request,
                                 const struct image_fetch_events *events, void *ctx,
                                 struct image_fetch **out, struct err *err);
/* The job ends soon; no further callback. NULL is fine. */
void image_fetch_cancel(struct image_fetch *f);

/* The holder of a build's layers. */
void image_holder(struct str build_id, char out[IMAGE_HOLDER_MAX + 1]);
/* In data_dir/rootfs: what an image's layers stand on, as it is layers alone. */
extern const char image_rootfs[];
/* The build is gone; so are its layers, unless others hold them. Not answered: what is not released
 * now, because node is away, stays on the disk. */
void image_release(struct domain *d, struct str build_id);

#endif

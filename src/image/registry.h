/* SPDX-License-Identifier: Apache-2.0 */
/* One repository of a registry: how it wants to be asked, and its documents. In a worker.
 *
 * A login goes to the registry that was named and to the realm that it names, nowhere else: what
 * blobs are redirected to is told nothing. */
#ifndef IMAGE_REGISTRY_H
#define IMAGE_REGISTRY_H

#include "base/image_name.h"
#include "image/digest.h"
#include "image/fetch.h"
#include "ipc/image_messages.h"

struct registry;

must_check int registry_new(struct fetcher *f, const struct image_name *name,
                            const struct image_login *login, struct registry **out,
                            struct err *err);
void registry_free(struct registry *r); /* NULL is fine */

/* A manifest or index by tag or digest; appended to `out`. */
must_check int registry_manifest(struct registry *r, struct str reference, struct buf *out,
                                 struct err *err);
/* A small blob (a configuration). What it holds is for the caller to check. */
must_check int registry_document(struct registry *r, const struct digest *id, struct buf *out,
                                 struct err *err);

/* For transfers that the caller runs: sets url and authorization of `f`. */
void registry_blob(struct registry *r, const struct digest *id, struct fetch *f,
                   char url[FETCH_URL_MAX]);
enum registry_step {
    REGISTRY_DONE,  /* that was the answer: 200 or 206 */
    REGISTRY_AGAIN, /* start it again: redirected (url, authorization are set), or logged in anew */
    REGISTRY_FAILED,
};
/* After such a transfer has ended, and before fetch_done(). `tries` counts the steps of one blob.
 */
enum registry_step registry_next(struct registry *r, struct fetch *f, char url[FETCH_URL_MAX],
                                 unsigned *tries, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Images from registries (OCI distribution-spec, Docker registry v2); in a worker. */
#ifndef IMAGE_PULLER_H
#define IMAGE_PULLER_H

#include "image/maker.h"
#include "ipc/image_messages.h"

struct puller_spec {
    const struct image_name *name;
    const struct image_login *login; /* or NULL */
    const char *allow;               /* see fetch.h */
    const char *plain_http;
};

/* ERR_NOT_FOUND: no such image, or none for us to see; ERR_DENIED; ERR_UNAVAILABLE: the registry
 * cannot be reached or fails; ERR_INVALID: what it sent has another digest; and those of
 * maker_run(). Archives that were fetched before it failed are used by the next try. */
must_check int puller_run(struct maker *m, const struct puller_spec *spec, struct err *err);

#endif

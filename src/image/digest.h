/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 digests as registries write them ("sha256:…"), and the ids of stacks of layers. */
#ifndef IMAGE_DIGEST_H
#define IMAGE_DIGEST_H

#include <stdbool.h>

#include "base/digest.h"
#include "base/image_name.h"

struct digest {
    uint8_t at[SHA256_SIZE];
};

enum { DIGEST_HEX = 2 * SHA256_SIZE };

/* False: not "sha256:" and 64 digits in lower case. */
bool digest_read(struct str text, struct digest *out);
bool digest_read_hex(struct str hex, struct digest *out);
bool digest_eq(const struct digest *a, const struct digest *b);
void digest_hex(const struct digest *d, char out[DIGEST_HEX + 1]);
void digest_text(const struct digest *d, char out[IMAGE_DIGEST_LEN + 1]);

/* The id of a layer and all below it (OCI image-spec, "Layer ChainID"). below NULL: the first. */
struct digest digest_chain(const struct digest *below, const struct digest *diff);

#endif

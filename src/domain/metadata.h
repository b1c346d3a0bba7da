/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata filter of lists: parsing its encoding, matching it. */
#ifndef DOMAIN_METADATA_H
#define DOMAIN_METADATA_H

#include "base/arena.h"
#include "base/err.h"
#include "codec/codec.h"

enum {
    METADATA_FILTER_MAX = 64, /* pairs in one filter */
};

/* `text` is the query parameter after the ordinary decoding. It is decoded once more as a whole,
 * split on '&' and '=', and each part decoded again (wire.md 2.8). Pairs are struct codec_pair.
 * ERR_INVALID "Error parsing metadata". */
must_check int metadata_parse(struct str text, struct arena *a, struct codec_list *out,
                              struct err *err);
/* Does `have` hold each pair of `want`? */
bool metadata_matches(const struct codec_list *have, const struct codec_list *want);

#endif

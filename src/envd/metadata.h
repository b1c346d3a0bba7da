/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata of files: X-Metadata-<key> fields of an upload, kept as xattrs user.e2b.<key>. */
#ifndef ENVD_METADATA_H
#define ENVD_METADATA_H

#include "codec/codec.h"
#include "http/head.h"

enum {
    METADATA_KEY_MAX = 246,
    METADATA_TOTAL_MAX = 4096, /* keys with their prefix, and values */
    METADATA_KEYS_MAX = 64,
};

/* From the fields of a request; keys lower-cased, the first of equal ones wins. In `a`. */
must_check int metadata_parse(const struct http_head *h, struct arena *a, struct codec_list *out,
                              struct err *err);
/* Make the set on an open file exactly this one. */
must_check int metadata_store(int fd, const struct codec_list *pairs, struct err *err);
/* The set of a path (links are not followed); empty where there is none or it cannot be read. */
struct codec_list metadata_load(const char *path, struct arena *a);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* References to container images, as people write them ("ubuntu", "ghcr.io/a/b:1.2",
 * "host:5000/x@sha256:…"), brought into their full form. The grammar is that of
 * github.com/distribution/reference. Pure. */
#ifndef BASE_IMAGE_NAME_H
#define BASE_IMAGE_NAME_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum {
    IMAGE_NAME_MAX = 512, /* bytes of a reference */
    IMAGE_PATH_MAX = 255, /* of host and path together */
    IMAGE_TAG_MAX = 128,
    IMAGE_DIGEST_LEN = 71, /* "sha256:" and 64 digits */
};

struct image_name {
    struct str host;   /* "docker.io", "localhost:5000": lower case */
    struct str path;   /* "library/ubuntu" */
    struct str tag;    /* "latest" when neither a tag nor a digest is given, else maybe empty */
    struct str digest; /* "sha256:…", or empty; decides when it is there */
};

/* ERR_INVALID says what is wrong with it; ERR_UNSUPPORTED: a digest other than SHA-256. */
must_check int image_name_parse(struct str text, struct arena *a, struct image_name *out,
                                struct err *err);
/* Host, path, tag and digest; what is parsed from it is the same again. */
void image_name_write(const struct image_name *n, struct buf *out);

/* "sha256:" and 64 digits in lower case? */
bool image_digest_is_good(struct str text);
/* Of a repository: components of lower-case letters and digits, with '.', '_', "__" or dashes
 * between, and '/' between them. */
bool image_path_is_good(struct str path);
bool image_tag_is_good(struct str tag);

#endif

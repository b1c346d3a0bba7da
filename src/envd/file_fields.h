/* SPDX-License-Identifier: Apache-2.0 */
/* Pure text work for GET /files: ranges, types, names. */
#ifndef ENVD_FILE_FIELDS_H
#define ENVD_FILE_FIELDS_H

#include "base/buf.h"

/* By extension, whatever its case; application/octet-stream when unknown. */
const char *content_type_of(struct str name);
/* `inline; filename=a.txt`; quoted or encoded when the name asks for it. */
void content_disposition(struct buf *out, struct str name);

enum range_result {
    RANGE_NONE, /* absent, several ranges or another unit: send all */
    RANGE_PART,
    RANGE_BAD, /* 416 */
};

enum range_result range_parse(struct str value, uint64_t size, uint64_t *out_start,
                              uint64_t *out_len);

#endif

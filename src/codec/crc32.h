/* SPDX-License-Identifier: Apache-2.0 */
/* The check value of gzip files (RFC 1952, section 8). */
#ifndef CODEC_CRC32_H
#define CODEC_CRC32_H

#include "base/str.h"

/* The table is made when it is needed: in a program that seldom sees a gzip file it would be a
 * kilobyte of image for nothing. */
struct crc32 {
    uint32_t value; /* of the bytes so far */
    uint32_t table[256];
};

void crc32_init(struct crc32 *c);
void crc32_add(struct crc32 *c, struct str data);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* For fuzz targets: any input against tables of the codec. */
#ifndef FUZZ_TABLES_H
#define FUZZ_TABLES_H

#include "codec/codec.h"

/* The first byte chooses the table, its highest bit the form: JSON or protobuf; the rest is the
 * message. What is accepted is written, is accepted again, and is then written as the very same. */
void tables_check(const struct codec_message *const *tables, size_t count, struct str in);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* An object in one allocation: a struct, the record in it, and the record's texts behind it. For
 * what there are many of. Users: event_log.c, delivery.c. */
#ifndef DOMAIN_PACK_H
#define DOMAIN_PACK_H

#include "codec/codec.h"

/* `size` zeroed bytes with a copy of `record` (of table `m`, plain texts and numbers only) at
 * `offset`, whose texts are ours; what is not UTF-8 in them becomes '?', because no codec would
 * read it again. free() releases all. */
void *pack_new(const struct codec_message *m, const void *record, size_t size, size_t offset);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Variables of an environment as requests and envd tell them: one JSON object whose members are
 * strings. Used by globals.c and pipes.c. */
#ifndef INTERPRETER_VARIABLES_H
#define INTERPRETER_VARIABLES_H

#include "base/arena.h"
#include "base/buf.h"
#include "codec/codec.h"

struct variables {
    struct codec_list all; /* struct codec_pair; good until variables_done() */
    struct arena mem;
    struct buf text;
};

/* False: it is no such object, or longer than `max` bytes. variables_done() follows either way. */
bool variables_read(struct variables *v, struct str json, size_t max);
void variables_done(struct variables *v);

#endif

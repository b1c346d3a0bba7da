/* SPDX-License-Identifier: Apache-2.0 */
/* What the /files routes have in common: the query, the token or signature, the user, the answer.
 */
#ifndef ENVD_FILES_H
#define ENVD_FILES_H

#include "base/arena.h"
#include "codec/codec.h"
#include "envd/users.h"
#include "http/server.h"

struct guest;

enum {
    FILE_PIECE = 64 << 10 /* bytes read and sent in one go */
};

struct files_request {
    struct str path; /* of the query, decoded, unresolved; may be empty */
    struct user user;
};

/* Memory is the exchange's arena. False: it has been answered. `operation` is "read" or "write". */
bool files_begin(struct guest *g, struct exchange *x, const char *operation,
                 struct files_request *out);

/* What is told about a file that was written: {"path":…,"name":…,"type":"file"} and the metadata,
 * if there is any. */
void files_put_entry(struct buf *out, struct str path, const struct codec_list *metadata);

#endif

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

/* The decoded parameter of the query; .at is NULL when absent. False: broken escape, or no memory.
 */
bool files_parameter(struct exchange *x, const char *name, struct str *out);
/* Is this the media type, whatever its parameters? */
bool files_is_type(struct str value, const char *type);
/* Answer with the file at an absolute path, as the request's fields ask (files_get.c). */
void files_send(struct guest *g, struct exchange *x, struct str path);

/* Memory is the exchange's arena. False: it has been answered. `operation` is "read" or "write". */
bool files_begin(struct guest *g, struct exchange *x, const char *operation,
                 struct files_request *out);

/* What is told about a file that was written: {"path":…,"name":…,"type":"file"} and the metadata,
 * if there is any. */
void files_put_entry(struct buf *out, struct str path, const struct codec_list *metadata);

#endif

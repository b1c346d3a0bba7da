/* SPDX-License-Identifier: Apache-2.0 */
/* Streaming parser of multipart/form-data bodies (RFC 7578): bytes go in as they arrive, parts come
 * out as they are read; memory does not depend on their size. Used by POST /files. */
#ifndef ENVD_MULTIPART_H
#define ENVD_MULTIPART_H

#include "base/buf.h"
#include "base/err.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70,      /* RFC 2046 */
    MULTIPART_HEADERS_MAX = 16 << 10, /* of one part; a file name may be 4096 bytes */
    MULTIPART_PARTS_MAX = 10000,
};

/* Return -1 with *err set to stop. Strings are valid during the call only. */
struct multipart_events {
    /* Values of Content-Disposition; file_name.at is NULL when the part is no file. */
    int (*on_part)(void *ctx, struct str name, struct str file_name, struct err *err);
    int (*on_bytes)(void *ctx, struct str data, struct err *err);
    int (*on_part_end)(void *ctx, struct err *err);
};

struct multipart {
    const struct multipart_events *events;
    void *ctx;
    uint8_t state;
    char delimiter[MULTIPART_BOUNDARY_MAX + 4]; /* "\r\n--boundary" */
    size_t delimiter_len;
    size_t matched;     /* bytes of the delimiter seen so far */
    struct buf headers; /* of the current part */
    size_t part_count;
};

/* ERR_INVALID when the Content-Type names no usable boundary. */
must_check int multipart_init(struct multipart *m, struct str content_type,
                              const struct multipart_events *events, void *ctx, struct err *err);
void multipart_done(struct multipart *m);
/* Takes all of `data`. */
must_check int multipart_feed(struct multipart *m, struct str data, struct err *err);
/* The body ended: was it complete? */
must_check int multipart_end(const struct multipart *m, struct err *err);

/* A parameter of a header value such as `form-data; name="file"`: quoted (backslash before a quote
 * or a backslash is an escape) or plain. Copied to `out`, NUL behind; false when absent or too
 * long. */
bool header_parameter(struct str value, const char *name, char *out, size_t size);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of every kind, CORS fields included: plain JSON, errors, bodies too large for one write.
 */
#ifndef ENVD_ANSWER_H
#define ENVD_ANSWER_H

#include "base/buf.h"
#include "http/server.h"

enum {
    ANSWER_FIELDS_MAX = 12,     /* fields of one answer, those for browsers included */
    ANSWER_PIECE = 64 << 10,    /* bytes of a large body written in one go */
    ANSWER_BODY_MAX = 64 << 20, /* largest body held in memory */
};

/* The fields of an answer in the making. */
struct answer {
    struct http_field fields[ANSWER_FIELDS_MAX];
    size_t count;
};

/* Is this the first Python SDK? Its decoder refuses members it does not know, so it gets entries
 * with a name, a type and a path only, and a field that says so (semantics.md 4.3). */
bool answer_is_legacy(const struct exchange *x);
/* Starts with what browsers need (Access-Control-…), if one is asking. */
void answer_init(struct answer *a, const struct exchange *x);
void answer_field(struct answer *a, const char *name, struct str value);
/* Send the head; `length` as in struct reply. */
void answer_start(struct exchange *x, unsigned status, const struct answer *a, int64_t length);

/* Whole answers. `type` may be NULL. */
void answer_body(struct exchange *x, unsigned status, const char *type, struct str body);
void answer_empty(struct exchange *x, unsigned status);
/* {"code":<status>,"message":"<text>"} */
void answer_error(struct exchange *x, unsigned status, const char *format, ...) printf_like(3, 4);
/* The same with the status that the kind of `err` calls for. */
void answer_failure(struct exchange *x, const struct err *err);
/* Takes the contents of `body` and sends them as fast as the peer reads. A failed buffer is
 * answered with 500. */
void answer_buf(struct exchange *x, unsigned status, const char *type, struct buf *body);

#endif

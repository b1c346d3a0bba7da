/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a call's input and answering it. Every answer function ends the call. */
#ifndef API_CALL_H
#define API_CALL_H

#include "api/api_internal.h"
#include "codec/codec.h"

enum {
    REPLY_MAX = 64 << 20, /* bytes of one answer */
    CALL_FIELDS_MAX = 4,  /* header fields of one answer */
};

struct call *call_new(struct api *a, struct exchange *x);
void call_free(struct call *c); /* without an answer: the client is gone */

/* The first parameter of the route's pattern, and the second. */
struct str call_param(const struct call *c, size_t at);
/* Of the query, decoded; .at NULL when absent or broken. In the exchange's arena. */
struct str call_query(const struct call *c, const char *name);
/* The sandbox id of the path, without a "-client" suffix (RX-26). -1: answered already. */
must_check int call_sandbox_id(struct call *c, struct str *out);
/* Decode the body. With may_be_empty no body is {}. -1: answered already, with 400. */
must_check int call_body(struct call *c, const struct codec_message *m, bool may_be_empty,
                         void *out);

void call_reply(struct call *c, unsigned status, const struct codec_message *m, const void *body);
void call_reply_text(struct call *c, unsigned status, struct str json);
/* With further header fields, at most CALL_FIELDS_MAX; a Content-Type among them replaces JSON's.
 */
void call_reply_fields(struct call *c, unsigned status, struct str json,
                       const struct http_field *fields, size_t count);
void call_reply_empty(struct call *c, unsigned status);

#endif

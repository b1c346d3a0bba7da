/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the push endpoint share: the OCI distribution API for images that a build
 * begins with (CT-17, CT-32 to CT-37). Users: push.c, push_read.c, push_upload.c, gate.c. */
#ifndef API_PUSH_H
#define API_PUSH_H

#include "api/call.h"
#include "build/push_store.h"
#include "domain/build_push.h"

/* Basic credentials of a build: c->build_id and c->team are set. -1: answered already. */
must_check int push_authenticate(struct call *c);
/* The build, when the path's first two parameters name its repository and it may still be pushed
 * to; NULL: answered already. */
struct build *push_build(struct call *c);

/* Answers as registries give them. */
void push_refuse(struct call *c, unsigned status, const char *code, const char *format, ...)
    printf_like(4, 5);
void push_fail(struct call *c, const char *code, const struct err *err);

struct push_reply {
    unsigned status;
    struct str location; /* empty: none; and so the others */
    struct str digest, range, upload;
};

void push_reply(struct call *c, const struct push_reply *r);
/* "/v2/PREFIX/TEMPLATE/REST" in the exchange's arena. */
struct str push_location(const struct call *c, const char *rest, struct str id);

#endif

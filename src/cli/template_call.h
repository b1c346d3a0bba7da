/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for a team, one after another; for template_build.c, template_file.c, template_show.c and
 * run.c. The builds of the first two are told by template_follow.c. */
#ifndef CLI_TEMPLATE_CALL_H
#define CLI_TEMPLATE_CALL_H

#include "base/arena.h"
#include "cli/remote.h"
#include "codec/codec.h"

struct template_call {
    struct remote_call call;
    struct buf body, answer;
    struct arena mem; /* what was decoded of the last answer */
};

/* For the team of --team and its kin. -1: there is none of that name, told already: EXIT_USAGE. */
must_check int template_call_begin(struct template_call *c, const struct invocation *v);
void template_call_end(struct template_call *c);
/* The next call, without a body yet: append to c->body. */
void template_call_set(struct template_call *c, const char *method, unsigned status,
                       const char *format, ...) printf_like(4, 5);
/* `m` NULL: the answer is not read. What is decoded is good until the next call. */
must_check int template_call_run(struct template_call *c, const struct invocation *v,
                                 const struct codec_message *m, void *out, struct err *err);
struct template_build_ids {
    char template_id[128], build_id[64];
};

/* The call that was set asks for a build: its ids. */
must_check int template_call_request(struct template_call *c, const struct invocation *v,
                                     struct template_build_ids *out, struct err *err);
/* Prints its lines as they come, until the end. */
must_check int template_call_follow(struct template_call *c, const struct invocation *v,
                                    const struct template_build_ids *ids, bool is_quiet,
                                    struct err *err);
/* One more member, unless it is empty. */
void template_call_text(struct buf *json, const char *name, struct str value);
/* A name of a template as one part of a path. ERR_INVALID. */
must_check int template_call_name(const char *name, char out[REMOTE_URL_MAX], struct err *err);

#endif

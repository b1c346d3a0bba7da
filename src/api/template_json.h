/* SPDX-License-Identifier: Apache-2.0 */
/* Templates as JSON (wire.md 2.7). Users: templates.c, template_post.c. */
#ifndef API_TEMPLATE_JSON_H
#define API_TEMPLATE_JSON_H

#include "api/call.h"
#include "domain/build.h"
#include "domain/template.h"

enum {
    BUILDS_SHOWN_MAX = 100, /* of a template, in one answer */
};

/* One of the operator's, for all teams. */
void template_json_shared(const struct call *c, const struct template *t, struct buf *out);
/* One of a team: Template, with AgentCube's members. */
void template_json(const struct call *c, const struct team_template *t, struct buf *out);

struct number_range {
    uint64_t min, max;
};

struct builds_page {
    size_t limit;
    size_t offset; /* from the newest */
};

/* TemplateWithBuilds; *out_next is the offset of the next page, 0 for none. */
void template_json_with_builds(const struct call *c, const struct team_template *t,
                               const struct builds_page *page, struct buf *out, size_t *out_next);
/* An error of a template or build route, by AgentCube's names (AC-26). */
void template_fail(struct call *c, const struct err *err);
/* That of the path's two parameters; NULL: answered already. */
struct build *template_build_of(struct call *c);
/* Its value between `min` and `max`; -1: answered already. Absent: *out stays. */
must_check int query_number(struct call *c, const char *name, const struct number_range *range,
                            uint64_t *out);

#endif

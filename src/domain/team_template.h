/* SPDX-License-Identifier: Apache-2.0 */
/* Templates that teams build: names, tags, visibility. A tag leads to a build that is ready; what
 * operators put into the templates directory is template.h's.
 *
 * A name is unique in its team: the same name is the same template (CT-04). A build that fails
 * leaves the tags where they were, so the template stays usable. Changes are made at once and
 * answered when they are durable; when the store refuses, they are taken back.
 *
 * Pointers are good until control returns to the loop: keep the id. */
#ifndef DOMAIN_TEAM_TEMPLATE_H
#define DOMAIN_TEAM_TEMPLATE_H

#include "base/arena.h"
#include "base/list.h"
#include "domain/build_record.h"
#include "domain/template.h"

struct build;
struct domain;
struct team;
struct template_name;

enum {
    TEMPLATE_ID_LEN = 20,
    TEMPLATE_TAGS_MAX = 100, /* of one template */
    TEMPLATE_ALIASES_MAX = 20,
    TEMPLATE_TEXT_MAX = 64 << 10, /* description, Dockerfile */
    TEAM_TEMPLATES_MAX = 10000,   /* of all teams */
    TEMPLATE_CPU_DEFAULT = 2,     /* CT-06 */
    TEMPLATE_MEMORY_MB_DEFAULT = 1024,
    TEMPLATE_MEMORY_MB_MIN = 128,
    TEMPLATE_DISK_MB_DEFAULT = 10240,
};

struct team_template {
    struct team_template_record r;
    struct arena mem;
    struct team *team;
    struct list builds; /* struct build, oldest first */
    size_t build_count;
};

/* One of that team, by id, name or alias, "space/name" and ":tag" allowed. ERR_NOT_FOUND. */
struct team_template *team_template_require(const struct domain *d, const struct team *team,
                                            struct str reference, struct err *err);
/* By id alone. */
struct team_template *team_template_find(const struct domain *d, struct str id);
/* Of one team with an id behind `after`, by id; an array in `a`, NULL when it is too small. */
const struct team_template **team_template_list(const struct domain *d, const struct team *team,
                                                struct str after, struct arena *a,
                                                size_t *out_count);
/* The build a tag leads to; NULL: there is none. */
const struct template_tag *team_template_tag(const struct team_template *t, struct str tag);
/* The newest of its builds; NULL when it has none any more. */
const struct build *team_template_newest(const struct team_template *t);

/* err NULL: durable. t and b may be NULL even so, when they were removed meanwhile. */
typedef void template_done_fn(void *ctx, const struct team_template *t, const struct build *b,
                              const struct err *err);

struct template_request {
    struct team *team;
    struct str name;                       /* with ":tag", with "space/" of the team itself */
    struct codec_list tags;                /* of struct str */
    int64_t cpu_count, memory_mb, disk_mb; /* 0: what the template had, or the default */
    bool must_be_new;                      /* ERR_EXISTS when the name is taken */
    bool has_no_build;                     /* only the name; b is NULL in the answer */
    struct str description, start_cmd, dockerfile;
    struct codec_list aliases;
    bool is_public;
};

/* A new build of a template, which is made when there is none of that name. Builds that would get
 * one of the same tags and have not ended are cancelled. */
must_check int template_request(struct domain *d, const struct template_request *q,
                                template_done_fn *fn, void *ctx, struct err *err);

/* Members that are not there stay as they are. */
struct template_alter {
    bool has_public, has_description, has_aliases;
    bool is_public;
    struct str description;
    struct codec_list aliases;    /* of struct str */
    int64_t cpu_count, memory_mb; /* 0: as it is */
};

must_check int template_alter(struct domain *d, const struct team_template *t,
                              const struct template_alter *a, template_done_fn *fn, void *ctx,
                              struct err *err);
/* With its builds. ERR_INVALID while sandboxes use it. */
must_check int template_remove(struct domain *d, const struct team_template *t,
                               template_done_fn *fn, void *ctx, struct err *err);
/* `target` is name[:tag or build id]; b in the answer is the build. */
must_check int template_tag_assign(struct domain *d, const struct team *team, struct str target,
                                   const struct codec_list *tags, template_done_fn *fn, void *ctx,
                                   struct err *err);
/* ERR_INVALID for "default". */
must_check int template_tag_remove(struct domain *d, const struct team *team, struct str name,
                                   const struct codec_list *tags, template_done_fn *fn, void *ctx,
                                   struct err *err);

enum template_presence {
    TEMPLATE_ABSENT,
    TEMPLATE_FOREIGN, /* of another team that does not share it */
    TEMPLATE_VISIBLE,
};

/* Of a name, alias or id, whether or not it has a build. */
enum template_presence template_presence(struct domain *d, const struct team *team,
                                         struct str reference, struct str *out_id,
                                         bool *out_is_public, struct err *err);

/* For template.c: what sandboxes of `n` start from, good until the next call. NULL without an error
 * (kind ERR_NONE): there is no such template here. */
const struct template *team_template_use(struct domain *d, const struct team *team,
                                         const struct template_name *n, struct err *err);

#endif

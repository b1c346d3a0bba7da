/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of templates and builds share. */
#ifndef DOMAIN_BUILD_INTERNAL_H
#define DOMAIN_BUILD_INTERNAL_H

#include "domain/build.h"
#include "domain/domain_internal.h"

enum {
    UPLOAD_KEY_SIZE = 32,
};

struct builds {
    struct domain *domain;
    struct map templates; /* id -> struct team_template */
    struct map names;     /* "<team id>/<name or alias>" -> the same */
    struct map by_id;     /* struct build */
    struct list ended;    /* oldest first */
    size_t ended_count;
    struct list logs; /* ended ones whose log is in memory, oldest first */
    size_t log_count;
    struct list changes; /* struct change: wait for their commit */
    struct timer sweep;
    struct map guests;   /* id -> struct build_guest */
    struct map layers;   /* build_layer.c: by team and digest */
    struct map reserved; /* the same: names that are being made */
    const struct build_runner *runner;
    void *runner_ctx;
    struct template view; /* what team_template_use() answered last */
    uint8_t upload_key[UPLOAD_KEY_SIZE];
};

struct builds *builds_new(struct domain *d);
void builds_free(struct builds *b);
must_check int builds_load(struct domain *d, struct err *err);

/* The records in memory: put replaces or makes, drop is harmless when there is none. Neither
 * writes. team_template.c and build.c. */
must_check int team_template_put(struct domain *d, struct str record, struct err *err);
void team_template_drop(struct domain *d, struct str id);
must_check int build_put(struct domain *d, struct str record, struct err *err);
void build_drop(struct domain *d, struct str id);

/* change.c: records that change together, in memory at once, on disk by one commit. When it fails
 * they are what they were. */
struct change;

struct change *change_new(struct domain *d, template_done_fn *fn, void *ctx);
must_check int change_template(struct change *c, const struct team_template_record *r,
                               struct err *err);
must_check int change_build(struct change *c, const struct build_record *r, struct err *err);
must_check int change_drop_template(struct change *c, struct str id, struct err *err);
must_check int change_drop_build(struct change *c, struct str id, struct err *err);
/* What the answer is about, and what is told when it is durable. */
void change_about(struct change *c, struct str template_id, struct str build_id);
void change_event(struct change *c, enum event_kind kind, const char *detail);
void change_commit(struct change *c);
/* Back to what was, without a commit or an answer. */
void change_abandon(struct change *c);
void changes_done(struct builds *b);

/* build.c: end those of a template that would get one of these tags. */
must_check int build_supersede(struct change *c, const struct team_template *t,
                               const struct codec_list *tags, struct err *err);
/* It is failed when it has not ended by then. */
void build_give_time(struct build *b, uint64_t ms);
/* Whoever builds it is told to stop; its slot is given back. The record stays as it is. */
void build_stop(struct domain *d, struct build *b);
/* It ends, or is removed. */
void build_forget_push(struct domain *d, const struct build *b);
/* Too many or too old ones go. */
void build_evict(struct domain *d);
bool build_is_tagged(const struct build *b);

/* team_template.c: the tags of `t` with `names` leading to a build; in the arena, NULL: too many.
 */
const struct template_tag *template_tags_with(const struct team_template *t,
                                              const struct codec_list *names, struct str build_id,
                                              struct arena *a, size_t *out_count);

/* Are there layers of an image that are kept for it? */
bool build_holds_image(const struct build_record *r);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Builds of templates: their states, logs and ends. This layer decides and remembers; src/build
 * does what a build says and reports here.
 *
 * waiting -> building -> ready | failed; cancelled from the first two. What has ended never moves
 * again. A build that has not ended when the process ends is failed by the next one: its sandbox
 * is gone with its steps. The records of builds that no tag leads to are removed when they are old
 * or many (CT-27). */
#ifndef DOMAIN_BUILD_H
#define DOMAIN_BUILD_H

#include "base/bucket.h"
#include "domain/build_log.h"
#include "domain/team_template.h"
#include "io/loop.h"

enum build_state {
    BUILD_WAITING,
    BUILD_BUILDING,
    BUILD_READY,
    BUILD_FAILED,
    BUILD_CANCELLED,
    BUILD_STATE_COUNT,
};

enum {
    BUILD_STEPS_MAX = 1000,
    BUILDS_MAX = 5000,              /* default; kept, those that tags lead to not counted */
    BUILD_KEEP_S = 3600,            /* default: how long they are kept */
    BUILD_SWEEP_S = 300,            /* default: how often it is looked */
    BUILD_WAIT_MS = 40 * 60 * 1000, /* for one that is never started */
    BUILD_TIME_MS = 60 * 60 * 1000, /* for all of a build */
    BUILD_LOGS_KEPT = 64,           /* of ended builds in memory; others are read when asked for */
};

struct build {
    struct list_node node;   /* in its template's list */
    struct list_node ended;  /* in builds->ended, oldest first */
    struct list_node logged; /* in builds->logs: ended, with its log in memory */
    struct build_record r;
    struct arena mem;
    struct domain *domain;
    struct team_template *template;
    struct build_log *log; /* NULL: not in memory */
    struct timer deadline;
    struct build_plan *plan; /* from its start to its end */
    struct arena plan_mem;
    bool is_running;  /* the runner has it */
    bool is_settling; /* ready, but that is not durable yet */
    struct bucket push_rate;
};

bool build_has_ended(const struct build *b);
/* What clients are told: nothing that is not durable. */
enum build_state build_shown(const struct build *b);
/* Of a template of that team. ERR_NOT_FOUND. */
struct build *build_require(const struct domain *d, const struct team *team,
                            struct str template_ref, struct str build_id, struct err *err);
struct build *build_find(const struct domain *d, struct str id);
/* Its lines; of one that has ended long ago they are read from the store. Never NULL. */
const struct build_log *build_lines(struct domain *d, struct build *b);

/* The plan is checked and copied. ERR_INVALID, also when the build is not waiting; ERR_CONFLICT
 * when there is no source (CT-19); ERR_LIMIT when the team builds too many at once. */
must_check int build_start(struct domain *d, struct build *b, const struct build_plan *plan,
                           template_done_fn *fn, void *ctx, struct err *err);
/* Ends it, whatever it is doing; harmless when it has ended. Not answered. */
void build_cancel(struct domain *d, struct build *b, const char *why);
/* All of a team; returns how many. */
size_t build_cancel_all(struct domain *d, const struct team *team);

/* Who builds. */
struct build_runner {
    /* b->plan stays until `stop`. */
    void (*start)(void *ctx, const struct build *b);
    /* Once for each start: it has ended, or is to end. */
    void (*stop)(void *ctx, struct str build_id);
    /* What was pushed for it is needed no more. */
    void (*forget)(void *ctx, struct str build_id);
};

void build_set_runner(struct domain *d, const struct build_runner *runner, void *ctx);

/* What the runner reports. Unknown ids, and those that have ended, are ignored. */
void build_say(struct domain *d, struct str id, enum build_level level, struct str step,
               struct str text);

struct build_result {
    struct str rootfs, snapshot;
    struct codec_list layers;
    bool has_memory;
    struct str user, workdir, start_cmd, ready_cmd, source;
    struct codec_list env, ports;
};

/* Ready, when the record is durable; its tags lead to it from then on. */
void build_succeed(struct domain *d, struct str id, const struct build_result *result);
void build_fail(struct domain *d, struct str id, struct str step, const char *reason);

/* 64 hex digits in lower case: the name of an uploaded archive (CT-08). */
bool build_hash_is_good(struct str hash);

/* Signs links to upload files with; the same after a restart. */
struct str build_upload_key(const struct domain *d);

/* For recover.c: guests that are no sandboxes of anybody. */
bool build_owns_guest(const struct domain *d, struct str guest_id);
void build_guest_exited(const struct domain *d, struct str guest_id, const char *why);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots: what createSnapshot made of a sandbox, kept by node under the snapshot's id. Each is a
 * build of a template of its team: a name given again is a new build of the same template, and one
 * with the same tag replaces the older. Users: api/snapshots.c, template.c, recover.c.
 *
 * A record is written when node has it, and removed before node is told to: what node has and no
 * record names is removed by the next comparison. */
#ifndef DOMAIN_SNAPSHOT_H
#define DOMAIN_SNAPSHOT_H

#include "base/map.h"
#include "domain/sandbox.h"
#include "domain/template.h"
#include "domain/template_name.h"

enum {
    SNAPSHOTS_MAX = 1000, /* of one team */
};

struct snapshot {
    struct snapshot_record r;
    struct arena mem;   /* owns the texts of r */
    struct template as; /* what sandboxes start from; borrows */
    bool is_durable;    /* else: being made, or for a fork alone */
};

/* s NULL: failed. Good during the call. */
typedef void snapshot_done_fn(void *ctx, const struct snapshot *s, const struct err *err);

struct snapshot_ask {
    struct str name; /* "[namespace/]name[:tag]", or empty */
    bool keeps_memory;
    bool is_passing; /* for a fork: no record, and no event */
    snapshot_done_fn *fn;
    void *ctx;
};

/* Of a sandbox that runs, which goes on. ERR_INVALID (the name), ERR_NOT_FOUND, ERR_CONFLICT,
 * ERR_LIMIT. `fn` may be called before this returns. */
must_check int sandbox_snapshot(struct domain *d, const struct team *team, struct str id,
                                const struct snapshot_ask *ask, struct err *err);

/* What clients call it, into `out`: "<team>/<name>:<tag>", or "<template id>:default". */
void snapshot_put_id(const struct domain *d, const struct snapshot *s, struct buf *out);
/* By what a client wrote; NULL when the team has none such. */
const struct snapshot *snapshot_find(const struct domain *d, const struct team *team,
                                     struct str reference);
const struct snapshot *snapshot_named(const struct domain *d, const struct team *team,
                                      const struct template_name *n);
const struct snapshot *snapshot_by_id(const struct domain *d, struct str id);

struct snapshot_query {
    const struct team *team;
    struct str sandbox_id, name; /* empty: any */
    struct str after;            /* id of the last one seen; empty: from the newest on */
    size_t limit;
};

/* The newest first; an array in `a`, NULL when that is too small. */
const struct snapshot **snapshot_list(const struct domain *d, const struct snapshot_query *q,
                                      struct arena *a, size_t *out_count, bool *out_has_more);

typedef void snapshot_removed_fn(void *ctx, const struct err *err);
/* Those that run from it go on. With a name and no tag, all builds of it. ERR_NOT_FOUND,
 * ERR_CONFLICT (a sandbox is to go on from it). */
must_check int snapshot_remove(struct domain *d, const struct team *team, struct str reference,
                               snapshot_removed_fn *fn, void *ctx, struct err *err);
/* One without a record. */
void snapshot_drop(struct domain *d, struct str id);

must_check int snapshot_load(struct domain *d, struct err *err);
void snapshot_done(struct domain *d);
/* Removes what node has and nobody wants; returns how many. */
size_t snapshot_compare(struct domain *d, const struct map *listed);

/* For snapshot_make.c. */
struct snapshot *snapshot_new(struct domain *d, const struct snapshot_record *r, struct err *err);
must_check int snapshot_save(struct domain *d, const struct snapshot *s, struct err *err);
void snapshot_free(struct domain *d, struct snapshot *s);
void makings_done(struct domain *d);
size_t snapshot_count(const struct domain *d, const struct team *team);

#endif

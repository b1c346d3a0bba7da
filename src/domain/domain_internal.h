/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of this folder share. Never included from outside it. */
#ifndef DOMAIN_DOMAIN_INTERNAL_H
#define DOMAIN_DOMAIN_INTERNAL_H

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "domain/domain.h"
#include "domain/node_client.h"
#include "domain/template.h"

enum {
    DOMAIN_SANDBOXES_MAX = 1000000,
};

struct domain {
    struct loop *loop;
    struct store *store;
    struct domain_config config; /* zeros replaced by defaults */
    const struct domain_hooks *hooks;
    void *hooks_ctx;
    struct map sandboxes; /* id -> struct sandbox, any state */
    struct map teams;     /* id -> struct team */
    struct team *team_default;
    struct map keys;    /* hash in hex -> struct key, of any status */
    struct map key_ids; /* id -> the same */
    struct heap deadlines;
    struct timer deadline_timer;
    uint64_t deadline_armed; /* endAt the timer waits for; 0: not armed */
    struct map creations;    /* key -> creation.c's */
    struct heap creation_ages;
    struct map snapshots; /* id -> struct snapshot */
    struct list makings;  /* snapshot_make.c: those under way */
    struct list forks;    /* fork.c: the same */
    struct domain_counters counters;
    struct templates *templates;
    struct map template_uses; /* template id -> template_use.c's */
    struct node_client *node;
    struct event_log *events;
    struct net_log *net_log;
    struct webhooks *webhooks;
    struct secrets *secrets;
    struct metrics *metrics;
    struct nodes *nodes;
    struct builds *builds; /* build_internal.h */
    struct signers *signers;
    char actor[ACTOR_MAX + 1];   /* domain_act_as() */
    struct list trusts;          /* authority.c: waiting for the hook's answer */
    struct list ops;             /* waiting for a commit or for node */
    struct list key_ops;         /* key_change.c: waiting for a commit */
    struct list team_ops;        /* team.c: the same */
    struct list team_kills;      /* team_kill.c */
    struct list keys_used;       /* key.c: their last use is not written yet */
    struct timer key_use_timer;  /* and when it will be */
    struct key_import *imported; /* key_import.c */
};

/* One caller who waits. It is in domain->ops or in a list of a sandbox; op_end() frees it. */
struct op {
    struct list_node node;
    struct domain *domain;
    char id[SANDBOX_KEY_MAX + 1];
    int64_t end_ms, idle_s;    /* set_end: what this call stores */
    bool is_unlimited;         /* the same */
    struct egress *egress;     /* set_network: the same */
    bool is_quiet;             /* set_end: no event, it happens all the time */
    bool is_files_only;        /* pause: asked for */
    struct event_draft *draft; /* what is told when it is durable */
    struct err err;            /* create: why it failed, while its remains are removed */
    sandbox_done_fn *fn;       /* NULL: nobody */
    void *ctx;
};

struct op *op_new(struct domain *d, struct str id, sandbox_done_fn *fn, void *ctx);
/* Unlinks, calls, frees. */
void op_end(struct op *op, const struct sandbox *s, const struct err *err);

/* sandbox.c */
/* Decode a record into a new sandbox that is in the map; no side effect of its state has happened
 * yet, and it has no team. */
must_check int sandbox_new(struct domain *d, struct str record, struct sandbox **out,
                           struct err *err);
/* A guest without a record, already in state killing. */
struct sandbox *sandbox_new_orphan(struct domain *d, struct str id);
void sandbox_free(struct sandbox *s); /* out of the map too */
struct sandbox *sandbox_find(const struct domain *d, struct str id);
/* Of that team and shown; ERR_NOT_FOUND with the exact text otherwise. */
struct sandbox *sandbox_require(const struct domain *d, const struct team *team, struct str id,
                                struct err *err);
int sandbox_missing(struct err *err, struct str id);
/* The same, and running (which snapshotting counts as); ERR_CONFLICT with the state otherwise. */
struct sandbox *sandbox_require_running(const struct domain *d, const struct team *team,
                                        struct str id, struct err *err);
bool sandbox_is_shown(const struct sandbox *s, int64_t now_ms);
/* Queue its record, as it will be in `state`. */
must_check int sandbox_save(struct sandbox *s, enum sandbox_state state, struct err *err);

/* sandbox_kill.c */
void sandbox_expire(struct sandbox *s);
/* Start (or go on with) the killing of a sandbox in any state but killed. */
void sandbox_end(struct sandbox *s, enum kill_reason reason);
/* Go on with one that was being killed when the process ended. */
void sandbox_end_again(struct sandbox *s);
/* The guest is gone already: only the record is to be removed. */
void sandbox_gone(struct sandbox *s, enum kill_reason reason, const char *detail);

/* After a commit failed and memory went back to what was stored before it: a later record may have
 * taken the lost values along, so write once more what is in force. */
void sandbox_restore(struct sandbox *s);

/* sandbox_pause.c */
void sandbox_pause_at_end(struct sandbox *s);             /* its time is over */
void sandbox_pause_now(struct sandbox *s);                /* it runs, and some wait for its pause */
void sandbox_pause_follow(struct sandbox *s);             /* node is at it already */
void sandbox_paused(struct sandbox *s, uint64_t took_us); /* in state pausing: node has done it */
void pausers_drop(struct sandbox *s, const struct err *err);

/* sandbox_resume.c */
void sandbox_resume_now(struct sandbox *s); /* it is paused, and some wait until it runs */
void sandbox_resume_go(struct sandbox *s);  /* the same without them; or it is in state resuming */
void sandbox_resumed(struct sandbox *s, uint64_t took_us); /* in state resuming: node has done it */
void resumers_add(struct sandbox *s, const struct resume_ask *ask);
void resumers_tell(struct sandbox *s, const struct err *err);
void resumers_extend(struct sandbox *s); /* it runs still */
void resumers_done(struct sandbox *s);   /* the domain ends: forget them */

/* sandbox_time.c: one in idle mode gets the time that edges need to report again. */
void sandbox_spare(struct sandbox *s);

/* sandbox_network.c */
void egress_release(struct egress *e); /* NULL is fine */
/* A value is another, or gone: to the sandboxes that use it. */
void network_secret_changed(struct domain *d, struct str team_id, struct str name);
/* To node, after it or we were away: the rules of all sandboxes. */
void egress_tell_all(struct domain *d);
/* What the egress role is told of the record; fails as a buf does. */
void egress_policy_bytes(const struct sandbox *s, struct buf *out);
/* Before the start: what its policy stands on. */
void egress_begin(struct sandbox *s);
/* The limits of the team are others now. */
void egress_tell_team(struct domain *d, const struct team *team);

/* sandbox_create.c: the guest ended while it was starting. */
void sandbox_start_failed(struct sandbox *s, const struct err *why);

/* sandbox_create.c: check, reserve, record and start one; it is in state starting then. `t` says
 * what of, p->template_ref and p->repeat_key do not count. */
must_check int sandbox_launch(struct domain *d, const struct sandbox_params *p,
                              const struct template_record *t, struct str alias,
                              struct sandbox **out, struct err *err);
/* fn, when it runs or has failed to. */
void sandbox_await_start(struct sandbox *s, sandbox_done_fn *fn, void *ctx);

/* recover.c */
must_check int recover_load(struct domain *d, struct err *err);
void recover_list(void *ctx, const struct node_listing *l);
void recover_exited(void *ctx, struct str id, unsigned reason);

/* load.c: each record of a kind; fails with the first that `fn` refuses. `what` is for people. */
typedef int record_fn(struct domain *d, struct str record, struct err *err);
must_check int record_each(struct domain *d, enum store_kind kind, const char *what, record_fn *fn,
                           struct err *err);

/* team.c, key.c: read at start. */
must_check int team_load(struct domain *d, struct err *err);
must_check int key_load(struct domain *d, struct err *err);
void team_done(struct domain *d);
void team_kill_done(struct domain *d);
void key_uses_flush(struct domain *d);
void key_done(struct domain *d);

void domain_route(const struct sandbox *s); /* tell the hook */
/* Remember who asked, if anybody did, for the event that comes later. */
void domain_sign(struct sandbox *s);

#endif

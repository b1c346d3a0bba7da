/* SPDX-License-Identifier: Apache-2.0 */
/* The control plane without HTTP: sandboxes, templates, keys, teams, quotas, deadlines, and the
 * conversation with node. Users: api/.
 *
 * Everything lives in memory and is written through to the store; a call that changes something
 * answers by callback once the change is durable. One thread: all calls and callbacks are made on
 * the loop. Pointers to sandboxes, teams and keys are good until control returns to the loop; keep
 * the id. */
#ifndef DOMAIN_DOMAIN_H
#define DOMAIN_DOMAIN_H

#include "domain/event.h"
#include "domain/sandbox.h"
#include "store/store.h"

struct domain_config {
    const char *node_socket;
    const char *templates_dir;
    uint64_t timeout_default_s;  /* 0: 300 (RX-02) */
    uint64_t timeout_max_s;      /* 0: 86400 (RX-03) */
    uint64_t team_sandboxes_max; /* concurrent ones; 0: 1000 */
    /* Of all sandboxes of a team together, its builds, its valid keys; 0: no limit. */
    uint64_t team_vcpus_max, team_memory_mb_max, team_disk_mb_max, team_builds_max, team_keys_max;
    const char *keys_file;       /* see key_import.h; NULL or "": none */
    const char *keys_team;       /* of keys that name no team; NULL or "": "default" */
    struct str keys_text;        /* from the environment; only looked at by domain_new() */
    uint64_t start_timeout_ms;   /* for node to start one; 0: 30 s */
    uint64_t paused_retention_s; /* paused ones are killed after it (RX-29); 0: never */
    uint64_t compare_ms;         /* between two comparisons with node's list; 0: 30 s */
    bool may_be_unlimited;       /* a timeout of -1 means never (RX-03) */
    bool is_idle_default;        /* timeouts count from the last activity (RX-01) */
    uint64_t replay_kb;          /* of output that envd keeps of each process; 0: its default */
    uint64_t events_max;         /* kept; 0: EVENTS_MAX */
    uint64_t events_days;        /* the same in days; 0: EVENTS_DAYS */
    uint64_t audit_percent;      /* of connections that are recorded; see net_log.h */
    uint64_t audit_records_max;  /* kept; 0: NET_LOG_MAX */
    uint64_t webhook_retry_ms;   /* first delay; 0: WEBHOOK_RETRY_MIN_MS */
    uint64_t webhook_tries_max;  /* 0: WEBHOOK_TRIES_MAX */
    /* Of ended builds that no tag leads to (CT-27): how long and how many are kept, how often it is
     * looked. 0: no limit, or never. */
    uint64_t build_keep_s, builds_max, build_sweep_s;
};

struct trust;

struct domain_hooks {
    void (*on_event)(void *ctx, const struct event *e);
    /* What edges may have cached about it changed; sandbox_state_row(s->state)->route says to what.
     */
    void (*on_route)(void *ctx, const struct sandbox *s);
    /* Run authority_script in that sandbox, then call authority_answer(), later (authority.h).
     * NULL: there is nothing to run it in. */
    void (*on_trust)(void *ctx, struct trust *t);
};

/* What was done since the process started; numbers only grow. For metrics and tests. */
struct domain_counters {
    uint64_t created, create_failed;
    uint64_t create_repeated; /* answered with what an Idempotency-Key had made before */
    uint64_t killed[KILL_REASON_COUNT];
    uint64_t kills_failed; /* single tries */
    uint64_t kill_alarms;
    uint64_t lost;           /* records whose guest node no longer had */
    uint64_t orphaned;       /* guests without a record */
    uint64_t compared;       /* lists of node that were compared with the records */
    uint64_t sweeper_wakes;  /* the timer of the expiry queue fired */
    uint64_t sweeper_visits; /* sandboxes it looked at */
    uint64_t sweeper_late_ms_max;
    uint64_t activities; /* reports that moved an end */
    uint64_t paused, resumed, pauses_failed, resumes_failed;
    uint64_t snapshots, snapshots_failed, snapshots_removed, forks, rollbacks;
    uint64_t healed; /* node had it paused and the record running, or the other way round */
};

/* Level of the guest protocol that is really offered (wire.md section 4). */
extern const char domain_envd_version[];

/* Reads all records; creates the team "default" in an empty store. Texts of `config`, the hooks and
 * the store must outlive the domain. */
must_check int domain_new(struct loop *l, struct store *store, const struct domain_config *config,
                          const struct domain_hooks *hooks, void *hooks_ctx, struct domain **out,
                          struct err *err);
void domain_free(struct domain *d); /* after store_close(); leaves sandboxes running */

/* Who asks for what is done until control returns to the loop: "key:<id>", "admin". Events say so.
 * Empty: nobody, the system itself. */
enum { ACTOR_MAX = 47 };
void domain_act_as(struct domain *d, struct str actor);
struct str domain_actor(const struct domain *d);
extern const char actor_system[];

/* A socket to a port inside a sandbox, for authority.h. fn is called once, later; not after
 * domain_free(). */
typedef void domain_dialed_fn(void *ctx, struct str id, int fd, const struct err *err);
must_check int domain_dial(struct domain *d, struct str id, uint16_t port, domain_dialed_fn *fn,
                           void *ctx, struct err *err);

/* Queue what is only written now and then. Before store_close(). */
void domain_flush(struct domain *d);

uint64_t domain_timeout_default_s(const struct domain *d);
bool domain_node_is_ready(const struct domain *d);
size_t domain_sandbox_count(const struct domain *d);
const struct domain_counters *domain_counters(const struct domain *d);

/* What sandboxes that exist for their teams were promised, together. Walks them all. */
struct domain_allocation {
    size_t sandboxes;
    uint64_t cpus, memory_bytes;
};

struct domain_allocation domain_allocation(const struct domain *d);

#endif

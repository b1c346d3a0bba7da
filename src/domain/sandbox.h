/* SPDX-License-Identifier: Apache-2.0 */
/* Sandboxes as the control plane sees them. Callers outside this folder read the fields and call
 * the functions; only this folder writes. */
#ifndef DOMAIN_SANDBOX_H
#define DOMAIN_SANDBOX_H

#include "base/arena.h"
#include "base/err.h"
#include "domain/record.h"
#include "domain/sandbox_state.h"
#include "domain/team.h"
#include "io/loop.h"

enum {
    SANDBOX_KEY_MAX = 63, /* characters of an id, ours or a node's */
    SANDBOX_PIDS_MAX = 4096,
    SANDBOX_MEM_MAX = 512 << 10, /* texts of one record */
    SANDBOX_NO_TIMEOUT = -1,     /* seconds: never, where the configuration allows it (RX-03) */
};

/* endAt of what never ends: the last second that RFC 3339 can write. */
#define SANDBOX_END_NEVER_MS INT64_C(253402300799000)

struct sandbox {
    struct sandbox_record r; /* what is stored; r.end_at_ms is the end in force */
    struct arena mem;        /* owns the texts of r */
    struct domain *domain;
    struct team *team; /* NULL: a guest without a record, being killed */
    enum sandbox_state state;
    int64_t end_stored_ms; /* the end that is durable: the one to show (CL-11) */
    int64_t idle_stored_s; /* the same for r.idle_s, r.is_unlimited */
    bool is_unlimited_stored;
    /* Owners of r.allow_out and r.deny_out once it was changed: in force, and durable. NULL: still
     * as created. */
    struct egress *egress, *egress_stored;
    struct heap_node deadline;
    bool has_slot;        /* holds one of its team's quota */
    bool has_disk;        /* holds its disk space of it: paused ones do too */
    bool is_indexed;      /* in team->sandboxes */
    struct list waiters;  /* struct op: they wait for the kill */
    struct list creators; /* struct op: they wait for the start */
    struct list wakers;   /* struct waker: requests that wait until it runs */
    size_t waker_count;
    struct list pausers;  /* struct op: they wait until it is paused */
    struct list resumers; /* struct resumer: they wait until it runs */
    bool was_running;     /* before the rollback that is under way */
    bool is_resumed_cold; /* by the resume that is under way */
    bool is_frozen;       /* paused; a reboot of the node ends its processes. As node said, to us */
    unsigned pause_tries; /* at the end of its time, that failed */
    struct task wake_task;
    struct list_node in_signers; /* while is_signer: its token may sign file URLs */
    bool is_signer;
    /* While starting: what its Idempotency-Key will be remembered by. NULL: had none. */
    struct creation *creation;
    uint64_t start_us; /* how long node took */
    enum kill_reason kill_reason;
    unsigned kill_tries;
    uint64_t kill_since_ms;
    struct timer kill_timer;
    char actor[48]; /* who asked for the last change; empty: nobody since the start */
};

/* s is NULL when the sandbox ended meanwhile (or was killed, as asked). err NULL: durable. */
typedef void sandbox_done_fn(void *ctx, const struct sandbox *s, const struct err *err);

struct sandbox_params {
    struct team *team;
    struct str template_ref; /* id, alias, name, namespace/name, with :tag */
    int64_t timeout_s;
    bool is_secure, is_private, is_offline;
    bool is_idle; /* the timeout counts from the last activity (RX-01) */
    bool pauses_at_end, pauses_files_only, may_resume; /* as in its record */
    struct str mask_host;
    struct codec_list allow_out; /* of struct str: addresses, CIDRs and names, checked */
    struct codec_list deny_out;  /* of struct str: addresses and CIDRs, checked */
    struct codec_list rules;     /* of struct egress_rule, checked */
    struct egress_proxy *proxy;  /* checked; NULL: none */
    struct codec_list metadata, env;
    struct str repeat_key; /* Idempotency-Key, checked; empty: none. See creation.h */
};

/* By id, of that team and visible (running or paused); else NULL. */
const struct sandbox *sandbox_get(const struct domain *d, const struct team *team, struct str id);
/* By id alone, in any state: for routes. */
const struct sandbox *sandbox_any(const struct domain *d, struct str id);
/* All of them, in any state: start with *cursor = 0; NULL at the end. Change none meanwhile. */
const struct sandbox *sandbox_next(const struct domain *d, size_t *cursor);

/* -1: refused at once, nothing was done (ERR_INVALID, ERR_NOT_FOUND, ERR_LIMIT). Otherwise `fn` is
 * called; its errors are failures to place or to store, and everything has been undone. A caller
 * who goes away loses nothing: the sandbox lives until its timeout.
 *
 * With a repeat_key that has made a sandbox for this team before: the same parameters give that
 * sandbox again (`fn` may be called before this returns; a create that is still running is joined),
 * others are ERR_CONFLICT, and ERR_EXISTS says that the sandbox has ended since. */
must_check int sandbox_create(struct domain *d, const struct sandbox_params *p, sandbox_done_fn *fn,
                              void *ctx, struct err *err);

enum end_rule {
    END_SET,     /* endAt = now + seconds, may shorten; 0 expires now */
    END_EXTEND,  /* endAt = max(endAt, now + seconds) */
    END_CONNECT, /* END_EXTEND, 0 refused, ERR_CONFLICT while being killed */
};

struct end_change {
    enum end_rule rule;
    int64_t seconds;
    sandbox_done_fn *fn;
    void *ctx;
};

/* set_timeout, refresh and connect (RX-03, RX-04): one function, one check. The total life is
 * capped at the team's maximum from the start. change->fn may be called before this returns (when
 * there is nothing to store). */
must_check int sandbox_set_end(struct domain *d, const struct team *team, struct str id,
                               const struct end_change *change, struct err *err);

/* A request went to it: in idle mode its end moves to now + idle_s, never back and never beyond the
 * longest life (RX-01, CL-17). Unknown ids and absolute ends are ignored. */
void sandbox_active(struct domain *d, struct str id);

struct network_change {
    bool is_offline;
    struct codec_list allow_out, deny_out; /* of struct str, checked; copied */
    struct codec_list rules;               /* of struct egress_rule, the same */
    struct egress_proxy *proxy;            /* the same; NULL: none */
    sandbox_done_fn *fn;
    void *ctx;
};

/* Replaces its egress rules. ERR_NOT_FOUND, ERR_CONFLICT when it is not running. */
must_check int sandbox_set_network(struct domain *d, const struct team *team, struct str id,
                                   const struct network_change *change, struct err *err);

struct pause_ask {
    bool keeps_memory;
    sandbox_done_fn *fn; /* maybe before the call returns */
    void *ctx;
};

/* Joins a pause that is under way, waits for a snapshot that is. ERR_NOT_FOUND, ERR_CONFLICT.
 * Errors of `fn` are those of node or store: it runs as before, but that a store which failed when
 * node was done leaves it paused. */
must_check int sandbox_pause(struct domain *d, const struct team *team, struct str id,
                             const struct pause_ask *ask, struct err *err);

struct resume_ask {
    int64_t seconds;          /* it lives for at least so long from now */
    bool is_cold;             /* boot it over its files, whatever was kept of its memory */
    bool is_only_paused;      /* one that runs is ERR_CONFLICT */
    sandbox_done_fn *running; /* it ran: its end was moved */
    sandbox_done_fn *resumed; /* it was resumed, or that failed */
    void *ctx;
};

/* One that runs gets the time, one that is paused is resumed; a pause under way is waited for.
 * ERR_INVALID, ERR_NOT_FOUND, ERR_CONFLICT. ERR_LIMIT by `resumed`: the team has too many. Both may
 * be called before the call returns. */
must_check int sandbox_connect(struct domain *d, const struct team *team, struct str id,
                               const struct resume_ask *ask, struct err *err);

/* Reason "request". Joins a kill that is under way. `fn` is called once the guest is gone and the
 * record too. */
must_check int sandbox_kill(struct domain *d, const struct team *team, struct str id,
                            sandbox_done_fn *fn, void *ctx, struct err *err);

/* from_ms + seconds, or never. */
int64_t sandbox_end_after(int64_t from_ms, int64_t seconds);

/* ERR_INVALID with the exact text when `seconds` is not a legal timeout for creation. */
must_check int sandbox_check_timeout(const struct domain *d, const struct team *team,
                                     int64_t seconds, struct err *err);

#endif

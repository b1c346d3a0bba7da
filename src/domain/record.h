/* SPDX-License-Identifier: Apache-2.0 */
/* What the store holds: one struct and one codec table per kind of record. Field numbers are for
 * ever; a new field takes a new number. */
#ifndef DOMAIN_RECORD_H
#define DOMAIN_RECORD_H

#include "codec/codec.h"
#include "ipc/egress_messages.h"

struct sandbox_record {
    struct str id, team_id;
    struct str template_id, alias, build_id, rootfs;
    int32_t state; /* enum sandbox_state */
    int64_t created_at_ms, started_at_ms;
    int64_t end_at_ms;       /* absolute (RX-01) */
    int64_t refreshed_at_ms; /* last set_timeout, refresh or connect (CL-17) */
    int64_t timeout_s;       /* as asked at creation */
    struct str access_token, control_token, traffic_token;
    bool is_secure;
    bool is_private; /* allowPublicTraffic: false */
    bool is_offline; /* allow_internet_access: false */
    struct str mask_host;
    struct codec_list deny_out; /* of struct str */
    struct codec_list metadata, env;
    int32_t cpu_count, memory_mb, disk_mb;
    int32_t kill_reason; /* enum kill_reason; set while killing */
    struct str user, workdir;
    int64_t idle_s; /* seconds without activity until the end; 0: the end is absolute (RX-01) */
    struct codec_list allow_out;    /* of struct str; beats deny_out */
    bool is_unlimited;              /* has had no timeout: the longest life does not hold (RX-03) */
    bool may_resume;                /* autoResume: traffic resumes it when it is paused */
    struct codec_list template_env; /* what its template gave; `env` beats it */
    struct codec_list layers;       /* of struct str: trees over rootfs, lowest first */
    struct str snapshot;            /* node's name of what it was started from; empty: nothing */
    bool pauses_at_end;             /* autoPause: its timeout pauses it instead of killing it */
    bool pauses_files_only;         /* autoPauseMemory: false */
    bool is_files_only;             /* it is paused without its processes */
    int64_t paused_at_ms;           /* while it is paused */
    int64_t run_at_ms;              /* the last resume, or 0: the longest life counts from it */
    struct str at_snapshot;     /* rolled back: node's name of what it goes on from; else empty */
    struct codec_list rules;    /* of struct egress_rule; secrets by their names */
    struct egress_proxy *proxy; /* NULL: none */
    struct egress_authority *authority; /* made with its first rules; NULL: it had none yet */
};

/* What a team may have; see quota.h. */
enum team_limit {
    TEAM_SANDBOXES, /* at once */
    TEAM_VCPUS,     /* of them together, as for the next two */
    TEAM_MEMORY_MB,
    TEAM_DISK_MB,
    TEAM_BUILDS,        /* template builds at once */
    TEAM_KEYS,          /* valid API keys */
    TEAM_TIMEOUT_S,     /* longest life of a sandbox */
    TEAM_SANDBOX_VCPUS, /* of a single sandbox, as for the next two */
    TEAM_SANDBOX_MEMORY_MB,
    TEAM_SANDBOX_DISK_MB,
    TEAM_EGRESS_KB_S,        /* of a single sandbox, each way over TCP to the outside */
    TEAM_EGRESS_CONNECTIONS, /* of a single sandbox to the outside, at once */
    TEAM_EGRESS_AUDIT,       /* percent of connections that are recorded; see net_log.h */
    TEAM_LIMIT_COUNT,
};

struct team_record {
    struct str id, name;
    int64_t created_at_ms;
    int64_t limits[TEAM_LIMIT_COUNT]; /* 0: that of the tier, or the server's default */
    bool is_banned, is_blocked;
    struct str block_reason;
    struct str tier; /* empty: "standard" */
};

struct key_record {
    struct str id, team_id, name, hash;
    struct str prefix;     /* "e2b_" */
    int64_t value_len;     /* characters behind the prefix */
    struct str head, tail; /* what may be shown of the value */
    int64_t created_at_ms, revoked_at_ms, expires_at_ms;
    uint32_t scopes; /* enum key_scope; 0: made before there were scopes, all of them */
    struct str description;
    int64_t last_used_at_ms; /* written late: up to a minute old after a crash */
};

/* A build of a snapshot's template: what createSnapshot made. */
struct snapshot_record {
    struct str id; /* its name on node */
    struct str team_id, template_id, build_id;
    struct str name, tag;  /* name empty: it has none */
    struct str sandbox_id; /* of which it was made */
    struct str rootfs;
    struct codec_list layers; /* as in sandbox_record */
    int64_t created_at_ms;
    int32_t cpu_count, memory_mb, disk_mb;
    struct str user, workdir;
    struct codec_list env;
    bool has_memory;
};

struct template_use_record {
    struct str template_id;
    int64_t spawn_count;   /* sandboxes ever started from it */
    int64_t spawned_at_ms; /* the last of them */
};

struct creation_record {
    struct str key;    /* "<team id>/<SHA-256 of the Idempotency-Key>" */
    struct str digest; /* SHA-256 of the parameters, in hex */
    struct str sandbox_id;
    int64_t created_at_ms;
};

extern const struct codec_message creation_record_message;
extern const struct codec_message sandbox_record_message;
extern const struct codec_message snapshot_record_message;
extern const struct codec_message team_record_message;
extern const struct codec_message key_record_message;
extern const struct codec_message template_use_record_message;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of the REST API: one struct and one table each, with the exact names of wire.md 2.6
 * and 2.7. Unknown members of requests are skipped; optional members of answers are left out when
 * empty, never null. */
#ifndef API_FIELDS_H
#define API_FIELDS_H

#include "codec/codec.h"

/* Requests. */

struct network_body {
    struct codec_list allow_out, deny_out; /* of struct str */
    bool allow_public, has_allow_public;
    struct str mask_host;
    struct str rules, egress_proxy, https_ports; /* raw JSON */
};

struct switch_body { /* autoResume */
    bool enabled;
};

struct lifecycle_body { /* ours: no client sends it yet */
    bool idle, has_idle;
};

struct iam_body {
    struct str tokens; /* raw JSON */
};

struct create_body {
    struct str template_id;
    int64_t timeout;
    bool has_timeout;
    bool auto_pause;
    bool auto_pause_memory, has_auto_pause_memory;
    struct switch_body *auto_resume;
    bool secure;
    bool allow_internet, has_allow_internet;
    struct network_body *network;
    struct codec_list metadata, env;
    struct iam_body *iam;
    struct str volume_mounts; /* raw JSON */
    struct lifecycle_body *lifecycle;
};

struct network_update_body {               /* SandboxNetworkUpdateConfig (wire.md 7.5) */
    struct codec_list allow_out, deny_out; /* of struct str */
    bool allow_internet, has_allow_internet;
    struct str rules, egress_proxy; /* raw JSON */
};

struct pause_body {
    bool memory, has_memory;
};

struct snapshot_body {
    struct str name;
    bool memory, has_memory; /* ours: false keeps files alone */
};

struct fork_body {
    int64_t timeout, count;
    bool has_timeout, has_count;
    bool memory, has_memory; /* ours, the same */
};

struct rollback_body { /* ours */
    struct str snapshot_id;
    int64_t timeout;
    bool has_timeout;
};

struct time_body { /* connect, resume, timeout */
    int64_t timeout;
    bool has_timeout;
    bool memory, has_memory;
};

struct refresh_body {
    int64_t duration, timeout; /* timeout: AgentCube's name for it (RX-04) */
    bool has_duration, has_timeout;
};

/* Answers. */

struct sandbox_reply { /* Sandbox */
    struct str template_id, sandbox_id, client_id, envd_version;
    struct str alias, access_token, traffic_token, domain;
};

struct lifecycle_reply {
    bool auto_resume;
    struct str on_timeout;
    bool idle; /* shown when so */
};

struct proxy_reply {
    struct str address, username;
};

struct network_reply {
    struct codec_list allow_out, deny_out;
    bool allow_public;
    struct str mask_host;
    struct str rules; /* raw JSON */
    struct proxy_reply *egress_proxy;
};

struct detail_reply { /* SandboxDetail; ListedSandbox is its first half */
    struct str template_id, sandbox_id, client_id, alias;
    struct str started_at, end_at, envd_version, state;
    int32_t cpu_count, memory_mb, disk_mb;
    struct codec_list metadata;
    struct str access_token, domain;
    bool allow_internet;
    struct network_reply *network;
    struct lifecycle_reply *lifecycle;
};

struct snapshot_reply { /* SnapshotInfo */
    struct str id;
    struct codec_list names; /* of struct str */
};

struct template_reply { /* Template */
    struct str template_id, build_id, build_status;
    struct codec_list aliases, names; /* of struct str */
    struct str created_at, updated_at, envd_version;
    int32_t cpu_count, memory_mb, disk_mb;
    int32_t build_count;
    int64_t spawn_count;
    struct str spawned_at, created_by; /* created_by: raw JSON */
    bool was_spawned, has_created_by;  /* null otherwise */
    bool is_public;
    /* AgentCube's words (AC-24) */
    struct str name, description, state, start_command;
    struct codec_list exposed_ports; /* of struct str; Sandlot's own */
};

extern const struct codec_message create_v1_message, create_v2_message;
extern const struct codec_message time_required_message; /* timeout must be there */
extern const struct codec_message time_optional_message;
extern const struct codec_message pause_message, snapshot_message, fork_message, rollback_message;
extern const struct codec_message snapshot_reply_message;
extern const struct codec_message refresh_message, network_update_message;
extern const struct codec_message sandbox_reply_message, listed_reply_message;
extern const struct codec_message detail_reply_message;
extern const struct codec_message template_reply_message;

#endif

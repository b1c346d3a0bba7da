/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of all roles: one struct, one table. The table is also --help, the sample file and
 * the manual; a test checks it. */
#ifndef MAIN_CONFIG_H
#define MAIN_CONFIG_H

#include "base/config.h"
#include "image/job.h"
#include "runtime/runtime.h"

struct config {
    const char *data_dir, *run_dir;
    const char *listen, *domain;
    const char *log_level, *log_format;
    const char *api_user, *edge_user, *egress_user;
    const char *network_mode; /* "relay": there is no other */
    const char *egress_allow, *egress_deny, *egress_resolvers, *egress_ca_file;
    uint64_t egress_kb_per_s, egress_connections_max;
    uint64_t audit_percent, audit_records_max;
    const char *on_exit;
    const char *store_engine;
    const char *keys_file, *keys_team, *cli_team;
    const char *timeout_mode, *gone_status;
    bool may_be_unlimited;
    uint64_t replay_kb, paused_retention_s;
    uint64_t edge_loops, edge_connections_max;
    const char *edge_data_listen;
    const char *tls_certificates, *tls_min_version;
    bool tls_has_plain, edge_has_h2;
    bool edge_has_paths, edge_has_access_log;
    uint64_t edge_transition_s, edge_resume_s, edge_head_s, edge_idle_s, edge_upload_stall_s;
    uint64_t edge_drain_s;
    uint64_t edge_peer_max, edge_sandbox_max;
    uint64_t requests_max, key_rate, peer_rate, body_max, head_max;
    uint64_t team_vcpus_max, team_memory_mb_max, team_disk_mb_max, team_builds_max, team_keys_max;
    uint64_t build_keep_s, builds_max, build_sweep_s, upload_max_mb, push_max_mb;
    const char *push_host, *push_prefix;
    uint64_t timeout_default_s, timeout_max_s, team_sandboxes_max;
    uint64_t disk_reserve_mb, hot_memory_mb, lazy_memory_mb, warm_service_mb;
    uint64_t events_max, events_days, webhook_tries_max;
    const char *metrics_listen, *webhook_ca_file;
    bool log_requests;
    uint64_t images_uid_base, images_size_max_mb, images_files_max, images_timeout_s;
    const char *images_allow, *images_plain_http;
    struct runtime_config runtime; /* its data_dir and run_dir are ours */
    bool has_role_filter;
    const char *checkpoint_probe; /* auto|off */
};

extern const struct config_table config_table;
extern const char config_file_default[]; /* read when it exists */

/* May others than this machine see what clients send? */
bool config_is_in_the_clear(const struct config *c);

/* Defaults, file, environment, flags; takes --config and the flags it knows out of argv. Without
 * takes_file --config is left to a command whose own it is. */
must_check int config_load(struct config *c, int *argc, char **argv, bool takes_file,
                           struct err *err);
/* "SANDLOT_DATA_DIR=/x" for every key: how the supervisor hands the configuration to the roles.
 * A NULL-ended array in one allocation plus its texts in `text`. */
char **config_environment(const struct config *c, struct buf *text);
/* Where a socket or file of ours is; aborts when the path is longer than any path may be. */
void config_path(char *out, size_t size, const char *dir, const char *name);
/* What jobs on images are told. */
struct image_job config_image(const struct config *c);
void config_log(const struct config *c, const char *role);

#endif

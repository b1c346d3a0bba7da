/* SPDX-License-Identifier: Apache-2.0 */
/* Codec tables of the REST bodies. Field numbers only have to be unique here. */
#include "api/fields.h"

/* clang-format 14 fails on rows of unequal length. */
/* clang-format off */
static const struct codec_field network_fields[] = {
    {1, "allowOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct network_body, allow_out)},
    {2, "denyOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct network_body, deny_out)},
    {3, "allowPublicTraffic", CODEC_BOOL, CODEC_OPTIONAL,
     offsetof(struct network_body, allow_public), offsetof(struct network_body, has_allow_public)},
    {4, "maskRequestHost", CODEC_STRING, 0, offsetof(struct network_body, mask_host)},
    {5, "rules", CODEC_RAW, 0, offsetof(struct network_body, rules)},
    {6, "egressProxy", CODEC_RAW, 0, offsetof(struct network_body, egress_proxy)},
    {7, "httpsPorts", CODEC_RAW, 0, offsetof(struct network_body, https_ports)},
};

static const struct codec_message network_message = {"network", sizeof(struct network_body),
                                                     network_fields, COUNT_OF(network_fields)};

static const struct codec_field switch_fields[] = {
    {1, "enabled", CODEC_BOOL, 0, offsetof(struct switch_body, enabled)},
};

static const struct codec_message switch_message = {"switch", sizeof(struct switch_body),
                                                    switch_fields, COUNT_OF(switch_fields)};

static const struct codec_field network_update_fields[] = {
    {1, "allowOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct network_update_body, allow_out)},
    {2, "denyOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct network_update_body, deny_out)},
    {3, "egressProxy", CODEC_RAW, 0, offsetof(struct network_update_body, egress_proxy)},
    {4, "rules", CODEC_RAW, 0, offsetof(struct network_update_body, rules)},
    {5, "allowInternetAccess", CODEC_BOOL, CODEC_OPTIONAL,
     offsetof(struct network_update_body, allow_internet),
     offsetof(struct network_update_body, has_allow_internet), NULL, "allow_internet_access"},
};

const struct codec_message network_update_message = {"network_update",
                                                     sizeof(struct network_update_body),
                                                     network_update_fields,
                                                     COUNT_OF(network_update_fields)};

static const struct codec_field lifecycle_body_fields[] = {
    {1, "idle", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct lifecycle_body, idle),
     offsetof(struct lifecycle_body, has_idle)},
};

static const struct codec_message lifecycle_body_message = {
    "lifecycle_body", sizeof(struct lifecycle_body), lifecycle_body_fields,
    COUNT_OF(lifecycle_body_fields)};

static const struct codec_field iam_fields[] = {
    {1, "tokens", CODEC_RAW, 0, offsetof(struct iam_body, tokens)},
};

static const struct codec_message iam_message = {"iam", sizeof(struct iam_body), iam_fields,
                                                 COUNT_OF(iam_fields)};

/* The second generation is the first without `secure`, which has to be last. */
static const struct codec_field create_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct create_body, template_id)},
    {2, "timeout", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct create_body, timeout),
     offsetof(struct create_body, has_timeout)},
    {3, "autoPause", CODEC_BOOL, 0, offsetof(struct create_body, auto_pause)},
    {4, "autoPauseMemory", CODEC_BOOL, CODEC_OPTIONAL,
     offsetof(struct create_body, auto_pause_memory),
     offsetof(struct create_body, has_auto_pause_memory)},
    {5, "autoResume", CODEC_MESSAGE, 0, offsetof(struct create_body, auto_resume), 0,
     &switch_message},
    {6, "allowInternetAccess", CODEC_BOOL, CODEC_OPTIONAL,
     offsetof(struct create_body, allow_internet), offsetof(struct create_body, has_allow_internet),
     NULL, "allow_internet_access"},
    {7, "network", CODEC_MESSAGE, 0, offsetof(struct create_body, network), 0, &network_message},
    {8, "metadata", CODEC_MAP, 0, offsetof(struct create_body, metadata)},
    {9, "envVars", CODEC_MAP, 0, offsetof(struct create_body, env)},
    {10, "iam", CODEC_MESSAGE, 0, offsetof(struct create_body, iam), 0, &iam_message},
    {11, "volumeMounts", CODEC_RAW, 0, offsetof(struct create_body, volume_mounts)},
    {13, "lifecycle", CODEC_MESSAGE, 0, offsetof(struct create_body, lifecycle), 0,
     &lifecycle_body_message},
    {12, "secure", CODEC_BOOL, 0, offsetof(struct create_body, secure)},
};

const struct codec_message create_v1_message = {"create_v1", sizeof(struct create_body),
                                                create_fields, COUNT_OF(create_fields)};

const struct codec_message create_v2_message = {"create_v2", sizeof(struct create_body),
                                                create_fields, COUNT_OF(create_fields) - 1};

static const struct codec_field pause_fields[] = {
    {1, "memory", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct pause_body, memory),
     offsetof(struct pause_body, has_memory)},
};

const struct codec_message pause_message = {"pause", sizeof(struct pause_body), pause_fields,
                                            COUNT_OF(pause_fields)};

static const struct codec_field snapshot_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct snapshot_body, name)},
    {2, "memory", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct snapshot_body, memory),
     offsetof(struct snapshot_body, has_memory)},
};

const struct codec_message snapshot_message = {"snapshot", sizeof(struct snapshot_body),
                                               snapshot_fields, COUNT_OF(snapshot_fields)};

static const struct codec_field fork_fields[] = {
    {1, "timeout", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct fork_body, timeout),
     offsetof(struct fork_body, has_timeout)},
    {2, "count", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct fork_body, count),
     offsetof(struct fork_body, has_count)},
    {3, "memory", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct fork_body, memory),
     offsetof(struct fork_body, has_memory)},
};

const struct codec_message fork_message = {"fork", sizeof(struct fork_body), fork_fields,
                                           COUNT_OF(fork_fields)};

static const struct codec_field rollback_fields[] = {
    {1, "snapshotID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct rollback_body, snapshot_id)},
    {2, "timeout", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct rollback_body, timeout),
     offsetof(struct rollback_body, has_timeout)},
};

const struct codec_message rollback_message = {"rollback", sizeof(struct rollback_body),
                                               rollback_fields, COUNT_OF(rollback_fields)};

static const struct codec_field snapshot_reply_fields[] = {
    {1, "snapshotID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct snapshot_reply, id)},
    {2, "names", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED,
     offsetof(struct snapshot_reply, names)},
};

const struct codec_message snapshot_reply_message = {
    "snapshot_reply", sizeof(struct snapshot_reply), snapshot_reply_fields,
    COUNT_OF(snapshot_reply_fields)};

static const struct codec_field time_required_fields[] = {
    {1, "timeout", CODEC_NUMBER, CODEC_OPTIONAL | CODEC_REQUIRED,
     offsetof(struct time_body, timeout), offsetof(struct time_body, has_timeout)},
    {2, "memory", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct time_body, memory),
     offsetof(struct time_body, has_memory)},
};

const struct codec_message time_required_message = {"time_required", sizeof(struct time_body),
                                                    time_required_fields,
                                                    COUNT_OF(time_required_fields)};

static const struct codec_field time_optional_fields[] = {
    {1, "timeout", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct time_body, timeout),
     offsetof(struct time_body, has_timeout)},
    {2, "memory", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct time_body, memory),
     offsetof(struct time_body, has_memory)},
};

const struct codec_message time_optional_message = {"time_optional", sizeof(struct time_body),
                                                    time_optional_fields,
                                                    COUNT_OF(time_optional_fields)};

static const struct codec_field refresh_fields[] = {
    {1, "duration", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct refresh_body, duration),
     offsetof(struct refresh_body, has_duration)},
    {2, "timeout", CODEC_NUMBER, CODEC_OPTIONAL, offsetof(struct refresh_body, timeout),
     offsetof(struct refresh_body, has_timeout)},
};

const struct codec_message refresh_message = {"refresh", sizeof(struct refresh_body),
                                              refresh_fields, COUNT_OF(refresh_fields)};

static const struct codec_field sandbox_reply_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct sandbox_reply, template_id)},
    {2, "sandboxID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct sandbox_reply, sandbox_id)},
    {3, "clientID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct sandbox_reply, client_id)},
    {4, "envdVersion", CODEC_STRING, CODEC_ALWAYS, offsetof(struct sandbox_reply, envd_version)},
    {5, "alias", CODEC_STRING, 0, offsetof(struct sandbox_reply, alias)},
    {6, "envdAccessToken", CODEC_STRING, 0, offsetof(struct sandbox_reply, access_token)},
    {7, "trafficAccessToken", CODEC_STRING, 0, offsetof(struct sandbox_reply, traffic_token)},
    {8, "domain", CODEC_STRING, 0, offsetof(struct sandbox_reply, domain)},
};

const struct codec_message sandbox_reply_message = {"sandbox_reply", sizeof(struct sandbox_reply),
                                                    sandbox_reply_fields,
                                                    COUNT_OF(sandbox_reply_fields)};

static const struct codec_field lifecycle_fields[] = {
    {1, "autoResume", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct lifecycle_reply, auto_resume)},
    {2, "onTimeout", CODEC_STRING, CODEC_ALWAYS, offsetof(struct lifecycle_reply, on_timeout)},
    {3, "idle", CODEC_BOOL, 0, offsetof(struct lifecycle_reply, idle)},
};

static const struct codec_message lifecycle_message = {
    "lifecycle", sizeof(struct lifecycle_reply), lifecycle_fields, COUNT_OF(lifecycle_fields)};

static const struct codec_field proxy_reply_fields[] = {
    {1, "address", CODEC_STRING, CODEC_ALWAYS, offsetof(struct proxy_reply, address)},
    {2, "username", CODEC_STRING, 0, offsetof(struct proxy_reply, username)},
};
static const struct codec_message proxy_reply_message = {
    "proxy_reply", sizeof(struct proxy_reply), proxy_reply_fields, COUNT_OF(proxy_reply_fields)};

static const struct codec_field network_reply_fields[] = {
    {1, "denyOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct network_reply, deny_out)},
    {4, "allowOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct network_reply, allow_out)},
    {2, "allowPublicTraffic", CODEC_BOOL, CODEC_ALWAYS,
     offsetof(struct network_reply, allow_public)},
    {3, "maskRequestHost", CODEC_STRING, 0, offsetof(struct network_reply, mask_host)},
    {5, "rules", CODEC_RAW, 0, offsetof(struct network_reply, rules)},
    {6, "egressProxy", CODEC_MESSAGE, 0, offsetof(struct network_reply, egress_proxy), 0,
     &proxy_reply_message},
};

static const struct codec_message network_reply_message = {
    "network_reply", sizeof(struct network_reply), network_reply_fields,
    COUNT_OF(network_reply_fields)};

/* A list shows the first LISTED_FIELDS of them. */
enum {
    LISTED_FIELDS = 12,
};

static const struct codec_field detail_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct detail_reply, template_id)},
    {2, "sandboxID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct detail_reply, sandbox_id)},
    {3, "clientID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct detail_reply, client_id)},
    {4, "alias", CODEC_STRING, 0, offsetof(struct detail_reply, alias)},
    {5, "startedAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct detail_reply, started_at)},
    {6, "endAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct detail_reply, end_at)},
    {7, "envdVersion", CODEC_STRING, CODEC_ALWAYS, offsetof(struct detail_reply, envd_version)},
    {8, "state", CODEC_STRING, CODEC_ALWAYS, offsetof(struct detail_reply, state)},
    {9, "cpuCount", CODEC_INT32, CODEC_ALWAYS, offsetof(struct detail_reply, cpu_count)},
    {10, "memoryMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct detail_reply, memory_mb)},
    {11, "diskSizeMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct detail_reply, disk_mb)},
    {12, "metadata", CODEC_MAP, 0, offsetof(struct detail_reply, metadata)},
    {13, "envdAccessToken", CODEC_STRING, 0, offsetof(struct detail_reply, access_token)},
    {14, "domain", CODEC_STRING, 0, offsetof(struct detail_reply, domain)},
    {15, "allowInternetAccess", CODEC_BOOL, CODEC_ALWAYS,
     offsetof(struct detail_reply, allow_internet)},
    {16, "network", CODEC_MESSAGE, 0, offsetof(struct detail_reply, network), 0,
     &network_reply_message},
    {17, "lifecycle", CODEC_MESSAGE, 0, offsetof(struct detail_reply, lifecycle), 0,
     &lifecycle_message},
};

const struct codec_message listed_reply_message = {"listed_reply", sizeof(struct detail_reply),
                                                   detail_fields, LISTED_FIELDS};

const struct codec_message detail_reply_message = {"detail_reply", sizeof(struct detail_reply),
                                                   detail_fields, COUNT_OF(detail_fields)};

static const struct codec_field template_reply_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_reply, template_id)},
    {2, "buildID", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_reply, build_id)},
    {3, "buildStatus", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_reply, build_status)},
    {4, "public", CODEC_BOOL, CODEC_ALWAYS, offsetof(struct template_reply, is_public)},
    {5, "aliases", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED,
     offsetof(struct template_reply, aliases)},
    {6, "names", CODEC_STRING, CODEC_ALWAYS | CODEC_REPEATED,
     offsetof(struct template_reply, names)},
    {7, "cpuCount", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_reply, cpu_count)},
    {8, "memoryMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_reply, memory_mb)},
    {9, "diskSizeMB", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_reply, disk_mb)},
    {10, "envdVersion", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_reply, envd_version)},
    {11, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_reply, created_at)},
    {12, "updatedAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct template_reply, updated_at)},
    {13, "createdBy", CODEC_RAW, CODEC_ALWAYS | CODEC_OPTIONAL,
     offsetof(struct template_reply, created_by), offsetof(struct template_reply, has_created_by)},
    {14, "lastSpawnedAt", CODEC_STRING, CODEC_ALWAYS | CODEC_OPTIONAL,
     offsetof(struct template_reply, spawned_at), offsetof(struct template_reply, was_spawned)},
    {15, "spawnCount", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct template_reply, spawn_count)},
    {16, "buildCount", CODEC_INT32, CODEC_ALWAYS, offsetof(struct template_reply, build_count)},
    {17, "name", CODEC_STRING, 0, offsetof(struct template_reply, name)},
    {18, "description", CODEC_STRING, 0, offsetof(struct template_reply, description)},
    {19, "state", CODEC_STRING, 0, offsetof(struct template_reply, state)},
    {20, "startCommand", CODEC_STRING, 0, offsetof(struct template_reply, start_command)},
    {21, "exposedPorts", CODEC_STRING, CODEC_REPEATED,
     offsetof(struct template_reply, exposed_ports)},
};

const struct codec_message template_reply_message = {"template_reply",
                                                     sizeof(struct template_reply),
                                                     template_reply_fields,
                                                     COUNT_OF(template_reply_fields)};
/* clang-format on */

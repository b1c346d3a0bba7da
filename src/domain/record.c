/* SPDX-License-Identifier: Apache-2.0 */
/* Codec tables of the stored records. Used by sandbox.c, team.c and key.c. */
#include "domain/record.h"

/* clang-format off */
static const struct codec_field sandbox_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct sandbox_record, id)},
    {2, "teamId", CODEC_STRING, 0, offsetof(struct sandbox_record, team_id)},
    {3, "templateId", CODEC_STRING, 0, offsetof(struct sandbox_record, template_id)},
    {4, "alias", CODEC_STRING, 0, offsetof(struct sandbox_record, alias)},
    {5, "buildId", CODEC_STRING, 0, offsetof(struct sandbox_record, build_id)},
    {6, "rootfs", CODEC_STRING, 0, offsetof(struct sandbox_record, rootfs)},
    {7, "state", CODEC_INT32, 0, offsetof(struct sandbox_record, state)},
    {8, "createdAtMs", CODEC_INT64, 0, offsetof(struct sandbox_record, created_at_ms)},
    {9, "startedAtMs", CODEC_INT64, 0, offsetof(struct sandbox_record, started_at_ms)},
    {10, "endAtMs", CODEC_INT64, 0, offsetof(struct sandbox_record, end_at_ms)},
    {11, "refreshedAtMs", CODEC_INT64, 0, offsetof(struct sandbox_record, refreshed_at_ms)},
    {12, "timeoutS", CODEC_INT64, 0, offsetof(struct sandbox_record, timeout_s)},
    {13, "accessToken", CODEC_STRING, 0, offsetof(struct sandbox_record, access_token)},
    {14, "controlToken", CODEC_STRING, 0, offsetof(struct sandbox_record, control_token)},
    {15, "trafficToken", CODEC_STRING, 0, offsetof(struct sandbox_record, traffic_token)},
    {16, "isSecure", CODEC_BOOL, 0, offsetof(struct sandbox_record, is_secure)},
    {17, "isPrivate", CODEC_BOOL, 0, offsetof(struct sandbox_record, is_private)},
    {18, "isOffline", CODEC_BOOL, 0, offsetof(struct sandbox_record, is_offline)},
    {19, "maskHost", CODEC_STRING, 0, offsetof(struct sandbox_record, mask_host)},
    {20, "denyOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct sandbox_record, deny_out)},
    {21, "metadata", CODEC_MAP, 0, offsetof(struct sandbox_record, metadata)},
    {22, "env", CODEC_MAP, 0, offsetof(struct sandbox_record, env)},
    {23, "cpuCount", CODEC_INT32, 0, offsetof(struct sandbox_record, cpu_count)},
    {24, "memoryMb", CODEC_INT32, 0, offsetof(struct sandbox_record, memory_mb)},
    {25, "diskMb", CODEC_INT32, 0, offsetof(struct sandbox_record, disk_mb)},
    {26, "killReason", CODEC_INT32, 0, offsetof(struct sandbox_record, kill_reason)},
    {27, "user", CODEC_STRING, 0, offsetof(struct sandbox_record, user)},
    {28, "workdir", CODEC_STRING, 0, offsetof(struct sandbox_record, workdir)},
    {29, "idleS", CODEC_INT64, 0, offsetof(struct sandbox_record, idle_s)},
    {30, "isUnlimited", CODEC_BOOL, 0, offsetof(struct sandbox_record, is_unlimited)},
    {31, "mayResume", CODEC_BOOL, 0, offsetof(struct sandbox_record, may_resume)},
    {32, "allowOut", CODEC_STRING, CODEC_REPEATED, offsetof(struct sandbox_record, allow_out)},
    {33, "templateEnv", CODEC_MAP, 0, offsetof(struct sandbox_record, template_env)},
    {34, "layers", CODEC_STRING, CODEC_REPEATED, offsetof(struct sandbox_record, layers)},
    {35, "snapshot", CODEC_STRING, 0, offsetof(struct sandbox_record, snapshot)},
    {36, "pausesAtEnd", CODEC_BOOL, 0, offsetof(struct sandbox_record, pauses_at_end)},
    {37, "pausesFilesOnly", CODEC_BOOL, 0, offsetof(struct sandbox_record, pauses_files_only)},
    {38, "isFilesOnly", CODEC_BOOL, 0, offsetof(struct sandbox_record, is_files_only)},
    {39, "pausedAtMs", CODEC_INT64, 0, offsetof(struct sandbox_record, paused_at_ms)},
    {41, "atSnapshot", CODEC_STRING, 0, offsetof(struct sandbox_record, at_snapshot)},
    {40, "runAtMs", CODEC_INT64, 0, offsetof(struct sandbox_record, run_at_ms)},
    {50, "rules", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct sandbox_record, rules), 0, &egress_rule_message},
    {51, "proxy", CODEC_MESSAGE, 0, offsetof(struct sandbox_record, proxy), 0, &egress_proxy_message},
    {52, "authority", CODEC_MESSAGE, 0, offsetof(struct sandbox_record, authority), 0, &egress_authority_message},
};
/* clang-format on */

const struct codec_message sandbox_record_message = {"sandbox", sizeof(struct sandbox_record),
                                                     sandbox_fields, COUNT_OF(sandbox_fields)};

/* clang-format off */
static const struct codec_field team_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct team_record, id)},
    {2, "name", CODEC_STRING, 0, offsetof(struct team_record, name)},
    {3, "createdAtMs", CODEC_INT64, 0, offsetof(struct team_record, created_at_ms)},
    {4, "sandboxesMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_SANDBOXES])},
    {5, "timeoutMaxS", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_TIMEOUT_S])},
    {6, "isBanned", CODEC_BOOL, 0, offsetof(struct team_record, is_banned)},
    {7, "isBlocked", CODEC_BOOL, 0, offsetof(struct team_record, is_blocked)},
    {8, "blockReason", CODEC_STRING, 0, offsetof(struct team_record, block_reason)},
    {9, "tier", CODEC_STRING, 0, offsetof(struct team_record, tier)},
    {10, "vcpusMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_VCPUS])},
    {11, "memoryMbMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_MEMORY_MB])},
    {12, "diskMbMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_DISK_MB])},
    {13, "buildsMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_BUILDS])},
    {14, "keysMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_KEYS])},
    {15, "sandboxVcpusMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_SANDBOX_VCPUS])},
    {16, "sandboxMemoryMbMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_SANDBOX_MEMORY_MB])},
    {17, "sandboxDiskMbMax", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_SANDBOX_DISK_MB])},
    {18, "egressKbS", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_EGRESS_KB_S])},
    {19, "egressConnections", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_EGRESS_CONNECTIONS])},
    {20, "egressAudit", CODEC_INT64, 0, offsetof(struct team_record, limits[TEAM_EGRESS_AUDIT])},
};
/* clang-format on */

const struct codec_message team_record_message = {"team", sizeof(struct team_record), team_fields,
                                                  COUNT_OF(team_fields)};

/* clang-format off */
static const struct codec_field key_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct key_record, id)},
    {2, "teamId", CODEC_STRING, 0, offsetof(struct key_record, team_id)},
    {3, "name", CODEC_STRING, 0, offsetof(struct key_record, name)},
    {4, "hash", CODEC_STRING, 0, offsetof(struct key_record, hash)},
    {5, "prefix", CODEC_STRING, 0, offsetof(struct key_record, prefix)},
    {6, "valueLen", CODEC_INT64, 0, offsetof(struct key_record, value_len)},
    {7, "head", CODEC_STRING, 0, offsetof(struct key_record, head)},
    {8, "tail", CODEC_STRING, 0, offsetof(struct key_record, tail)},
    {9, "createdAtMs", CODEC_INT64, 0, offsetof(struct key_record, created_at_ms)},
    {10, "revokedAtMs", CODEC_INT64, 0, offsetof(struct key_record, revoked_at_ms)},
    {11, "expiresAtMs", CODEC_INT64, 0, offsetof(struct key_record, expires_at_ms)},
    {12, "scopes", CODEC_UINT32, 0, offsetof(struct key_record, scopes)},
    {13, "description", CODEC_STRING, 0, offsetof(struct key_record, description)},
    {14, "lastUsedAtMs", CODEC_INT64, 0, offsetof(struct key_record, last_used_at_ms)},
};
/* clang-format on */

const struct codec_message key_record_message = {"key", sizeof(struct key_record), key_fields,
                                                 COUNT_OF(key_fields)};

/* clang-format off */
static const struct codec_field template_use_fields[] = {
    {1, "templateId", CODEC_STRING, 0, offsetof(struct template_use_record, template_id)},
    {2, "spawnCount", CODEC_INT64, 0, offsetof(struct template_use_record, spawn_count)},
    {3, "spawnedAtMs", CODEC_INT64, 0, offsetof(struct template_use_record, spawned_at_ms)},
};
/* clang-format on */

const struct codec_message template_use_record_message = {
    "template_use", sizeof(struct template_use_record), template_use_fields,
    COUNT_OF(template_use_fields)};

/* clang-format off */
static const struct codec_field creation_fields[] = {
    {1, "key", CODEC_STRING, 0, offsetof(struct creation_record, key)},
    {2, "digest", CODEC_STRING, 0, offsetof(struct creation_record, digest)},
    {3, "sandboxId", CODEC_STRING, 0, offsetof(struct creation_record, sandbox_id)},
    {4, "createdAtMs", CODEC_INT64, 0, offsetof(struct creation_record, created_at_ms)},
};
/* clang-format on */

const struct codec_message creation_record_message = {"creation", sizeof(struct creation_record),
                                                      creation_fields, COUNT_OF(creation_fields)};

/* clang-format off */
static const struct codec_field snapshot_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct snapshot_record, id)},
    {2, "teamId", CODEC_STRING, 0, offsetof(struct snapshot_record, team_id)},
    {3, "templateId", CODEC_STRING, 0, offsetof(struct snapshot_record, template_id)},
    {4, "buildId", CODEC_STRING, 0, offsetof(struct snapshot_record, build_id)},
    {5, "name", CODEC_STRING, 0, offsetof(struct snapshot_record, name)},
    {6, "tag", CODEC_STRING, 0, offsetof(struct snapshot_record, tag)},
    {7, "sandboxId", CODEC_STRING, 0, offsetof(struct snapshot_record, sandbox_id)},
    {8, "rootfs", CODEC_STRING, 0, offsetof(struct snapshot_record, rootfs)},
    {9, "layers", CODEC_STRING, CODEC_REPEATED, offsetof(struct snapshot_record, layers)},
    {10, "createdAtMs", CODEC_INT64, 0, offsetof(struct snapshot_record, created_at_ms)},
    {11, "cpuCount", CODEC_INT32, 0, offsetof(struct snapshot_record, cpu_count)},
    {12, "memoryMb", CODEC_INT32, 0, offsetof(struct snapshot_record, memory_mb)},
    {13, "diskMb", CODEC_INT32, 0, offsetof(struct snapshot_record, disk_mb)},
    {14, "user", CODEC_STRING, 0, offsetof(struct snapshot_record, user)},
    {15, "workdir", CODEC_STRING, 0, offsetof(struct snapshot_record, workdir)},
    {16, "env", CODEC_MAP, 0, offsetof(struct snapshot_record, env)},
    {17, "hasMemory", CODEC_BOOL, 0, offsetof(struct snapshot_record, has_memory)},
};
/* clang-format on */

const struct codec_message snapshot_record_message = {"snapshot", sizeof(struct snapshot_record),
                                                      snapshot_fields, COUNT_OF(snapshot_fields)};

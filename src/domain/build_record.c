/* SPDX-License-Identifier: Apache-2.0 */
/* Codec tables of build_record.h. Used by team_template.c, build.c, build_log.c and api/builds.c.
 */
#include "domain/build_record.h"

/* clang-format off */
static const struct codec_field tag_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct template_tag, name)},
    {2, "buildId", CODEC_STRING, 0, offsetof(struct template_tag, build_id)},
    {3, "createdAtMs", CODEC_INT64, 0, offsetof(struct template_tag, created_at_ms)},
};
static const struct codec_message tag_message =
    {"template_tag", sizeof(struct template_tag), tag_fields, COUNT_OF(tag_fields)};

static const struct codec_field team_template_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct team_template_record, id)},
    {2, "teamId", CODEC_STRING, 0, offsetof(struct team_template_record, team_id)},
    {3, "name", CODEC_STRING, 0, offsetof(struct team_template_record, name)},
    {4, "description", CODEC_STRING, 0, offsetof(struct team_template_record, description)},
    {5, "startCmd", CODEC_STRING, 0, offsetof(struct team_template_record, start_cmd)},
    {6, "dockerfile", CODEC_STRING, 0, offsetof(struct team_template_record, dockerfile)},
    {7, "aliases", CODEC_STRING, CODEC_REPEATED, offsetof(struct team_template_record, aliases)},
    {8, "tags", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct team_template_record, tags), 0, &tag_message},
    {9, "isPublic", CODEC_BOOL, 0, offsetof(struct team_template_record, is_public)},
    {10, "cpuCount", CODEC_INT32, 0, offsetof(struct team_template_record, cpu_count)},
    {11, "memoryMb", CODEC_INT32, 0, offsetof(struct team_template_record, memory_mb)},
    {12, "createdAtMs", CODEC_INT64, 0, offsetof(struct team_template_record, created_at_ms)},
    {13, "updatedAtMs", CODEC_INT64, 0, offsetof(struct team_template_record, updated_at_ms)},
};
const struct codec_message team_template_message =
    {"team_template", sizeof(struct team_template_record), team_template_fields, COUNT_OF(team_template_fields)};

static const struct codec_field build_fields[] = {
    {1, "id", CODEC_STRING, 0, offsetof(struct build_record, id)},
    {2, "templateId", CODEC_STRING, 0, offsetof(struct build_record, template_id)},
    {3, "teamId", CODEC_STRING, 0, offsetof(struct build_record, team_id)},
    {4, "state", CODEC_INT32, 0, offsetof(struct build_record, state)},
    {5, "createdAtMs", CODEC_INT64, 0, offsetof(struct build_record, created_at_ms)},
    {6, "updatedAtMs", CODEC_INT64, 0, offsetof(struct build_record, updated_at_ms)},
    {7, "finishedAtMs", CODEC_INT64, 0, offsetof(struct build_record, finished_at_ms)},
    {8, "cpuCount", CODEC_INT32, 0, offsetof(struct build_record, cpu_count)},
    {9, "memoryMb", CODEC_INT32, 0, offsetof(struct build_record, memory_mb)},
    {10, "diskMb", CODEC_INT32, 0, offsetof(struct build_record, disk_mb)},
    {11, "tags", CODEC_STRING, CODEC_REPEATED, offsetof(struct build_record, tags)},
    {12, "reason", CODEC_STRING, 0, offsetof(struct build_record, reason)},
    {13, "reasonStep", CODEC_STRING, 0, offsetof(struct build_record, reason_step)},
    {14, "source", CODEC_STRING, 0, offsetof(struct build_record, source)},
    {15, "rootfs", CODEC_STRING, 0, offsetof(struct build_record, rootfs)},
    {16, "snapshot", CODEC_STRING, 0, offsetof(struct build_record, snapshot)},
    {17, "hasMemory", CODEC_BOOL, 0, offsetof(struct build_record, has_memory)},
    {18, "user", CODEC_STRING, 0, offsetof(struct build_record, user)},
    {19, "workdir", CODEC_STRING, 0, offsetof(struct build_record, workdir)},
    {20, "startCmd", CODEC_STRING, 0, offsetof(struct build_record, start_cmd)},
    {21, "readyCmd", CODEC_STRING, 0, offsetof(struct build_record, ready_cmd)},
    {22, "env", CODEC_MAP, 0, offsetof(struct build_record, env)},
    {23, "layers", CODEC_STRING, CODEC_REPEATED, offsetof(struct build_record, layers)},
    {24, "pushKey", CODEC_BYTES, 0, offsetof(struct build_record, push_key)},
    {25, "pushUntilMs", CODEC_INT64, 0, offsetof(struct build_record, push_until_ms)},
    {26, "pushed", CODEC_STRING, 0, offsetof(struct build_record, pushed)},
    {27, "ports", CODEC_STRING, CODEC_REPEATED, offsetof(struct build_record, ports)},
};
const struct codec_message build_message =
    {"build", sizeof(struct build_record), build_fields, COUNT_OF(build_fields)};

static const struct codec_field step_fields[] = {
    {1, "type", CODEC_STRING, CODEC_REQUIRED, offsetof(struct build_step, type)},
    {2, "args", CODEC_STRING, CODEC_REPEATED, offsetof(struct build_step, args)},
    {3, "filesHash", CODEC_STRING, 0, offsetof(struct build_step, files_hash)},
    {4, "force", CODEC_BOOL, 0, offsetof(struct build_step, is_forced)},
};
static const struct codec_message step_message =
    {"step", sizeof(struct build_step), step_fields, COUNT_OF(step_fields)};

static const struct codec_field auth_fields[] = {
    {1, "type", CODEC_STRING, CODEC_REQUIRED, offsetof(struct registry_auth, type)},
    {2, "username", CODEC_STRING, 0, offsetof(struct registry_auth, username)},
    {3, "password", CODEC_STRING, 0, offsetof(struct registry_auth, password)},
    {4, "awsAccessKeyId", CODEC_STRING, 0, offsetof(struct registry_auth, aws_key_id)},
    {5, "awsSecretAccessKey", CODEC_STRING, 0, offsetof(struct registry_auth, aws_secret)},
    {6, "awsRegion", CODEC_STRING, 0, offsetof(struct registry_auth, aws_region)},
    {7, "serviceAccountJson", CODEC_STRING, 0, offsetof(struct registry_auth, gcp_account)},
};
static const struct codec_message auth_message =
    {"fromImageRegistry", sizeof(struct registry_auth), auth_fields, COUNT_OF(auth_fields)};

static const struct codec_field plan_fields[] = {
    {1, "fromImage", CODEC_STRING, 0, offsetof(struct build_plan, from_image)},
    {2, "fromTemplate", CODEC_STRING, 0, offsetof(struct build_plan, from_template)},
    {3, "fromImageRegistry", CODEC_MESSAGE, 0, offsetof(struct build_plan, auth), 0, &auth_message},
    {4, "force", CODEC_BOOL, 0, offsetof(struct build_plan, is_forced)},
    {5, "steps", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct build_plan, steps), 0, &step_message},
    {6, "startCmd", CODEC_STRING, 0, offsetof(struct build_plan, start_cmd)},
    {7, "readyCmd", CODEC_STRING, 0, offsetof(struct build_plan, ready_cmd)},
    {8, "probePort", CODEC_INT64, CODEC_OPTIONAL, offsetof(struct build_plan, probe_port), offsetof(struct build_plan, has_probe_port)},
    {9, "probePath", CODEC_STRING, 0, offsetof(struct build_plan, probe_path)},
    {10, "dockerfile", CODEC_STRING, 0, offsetof(struct build_plan, dockerfile)},
    {11, "filesHash", CODEC_STRING, 0, offsetof(struct build_plan, files_hash)},
};
const struct codec_message build_plan_message =
    {"build_plan", sizeof(struct build_plan), plan_fields, COUNT_OF(plan_fields)};

static const struct codec_field line_fields[] = {
    {1, "atMs", CODEC_INT64, 0, offsetof(struct build_line_record, at_ms)},
    {2, "level", CODEC_INT32, 0, offsetof(struct build_line_record, level)},
    {3, "step", CODEC_STRING, 0, offsetof(struct build_line_record, step)},
    {4, "text", CODEC_BYTES, 0, offsetof(struct build_line_record, text)},
};
static const struct codec_message line_message =
    {"build_line", sizeof(struct build_line_record), line_fields, COUNT_OF(line_fields)};

static const struct codec_field log_fields[] = {
    {1, "first", CODEC_INT64, 0, offsetof(struct build_log_record, first)},
    {2, "lines", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct build_log_record, lines), 0, &line_message},
};
const struct codec_message build_log_message =
    {"build_log", sizeof(struct build_log_record), log_fields, COUNT_OF(log_fields)};
/* clang-format on */

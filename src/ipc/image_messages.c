/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of a job's request and events; see image_messages.h. */
#include "ipc/image_messages.h"

/* clang-format off */
static const struct codec_field login_fields[] = {
    {1, "type", CODEC_STRING, 0, offsetof(struct image_login, type)},
    {2, "username", CODEC_STRING, 0, offsetof(struct image_login, username)},
    {3, "password", CODEC_STRING, 0, offsetof(struct image_login, password)},
    {4, "awsAccessKeyId", CODEC_STRING, 0, offsetof(struct image_login, aws_access_key_id)},
    {5, "awsSecretAccessKey", CODEC_STRING, 0, offsetof(struct image_login, aws_secret_access_key)},
    {6, "awsRegion", CODEC_STRING, 0, offsetof(struct image_login, aws_region)},
    {7, "serviceAccountJson", CODEC_STRING, 0, offsetof(struct image_login, service_account_json)},
};
static const struct codec_message login_message = {
    "ImageLogin", sizeof(struct image_login), login_fields, COUNT_OF(login_fields),
};

static const struct codec_field request_fields[] = {
    {1, "op", CODEC_STRING, 0, offsetof(struct image_request, op)},
    {2, "reference", CODEC_STRING, 0, offsetof(struct image_request, reference)},
    {3, "login", CODEC_MESSAGE, 0, offsetof(struct image_request, login), 0, &login_message},
    {4, "repository", CODEC_STRING, 0, offsetof(struct image_request, repository)},
    {5, "tag", CODEC_STRING, 0, offsetof(struct image_request, tag)},
    {6, "holder", CODEC_STRING, 0, offsetof(struct image_request, holder)},
};
const struct codec_message image_request_message = {
    "ImageRequest", sizeof(struct image_request), request_fields, COUNT_OF(request_fields),
};

static const struct codec_field run_fields[] = {
    {1, "env", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct image_run, env)},
    {2, "cmd", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct image_run, cmd)},
    {3, "entrypoint", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct image_run, entrypoint)},
    {4, "ports", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct image_run, ports)},
    {5, "workdir", CODEC_STRING, CODEC_ALWAYS, offsetof(struct image_run, workdir)},
    {6, "user", CODEC_STRING, CODEC_ALWAYS, offsetof(struct image_run, user)},
    {7, "labels", CODEC_MAP, 0, offsetof(struct image_run, labels)},
};
static const struct codec_message run_message = {
    "ImageRun", sizeof(struct image_run), run_fields, COUNT_OF(run_fields),
};

static const struct codec_field result_fields[] = {
    {1, "reference", CODEC_STRING, CODEC_ALWAYS, offsetof(struct image_result, reference)},
    {2, "digest", CODEC_STRING, CODEC_ALWAYS, offsetof(struct image_result, digest)},
    {3, "layers", CODEC_STRING, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct image_result, layers)},
    {4, "sizeBytes", CODEC_UINT64, CODEC_ALWAYS, offsetof(struct image_result, size_bytes)},
    {5, "source", CODEC_STRING, CODEC_ALWAYS, offsetof(struct image_result, source)},
    {6, "createdAt", CODEC_STRING, CODEC_ALWAYS, offsetof(struct image_result, created_at)},
    {7, "run", CODEC_MESSAGE, CODEC_ALWAYS, offsetof(struct image_result, run), 0, &run_message},
};
const struct codec_message image_result_message = {
    "ImageResult", sizeof(struct image_result), result_fields, COUNT_OF(result_fields),
};

static const struct codec_field error_fields[] = {
    {1, "kind", CODEC_UINT32, 0, offsetof(struct image_error, kind)},
    {2, "text", CODEC_STRING, CODEC_ALWAYS, offsetof(struct image_error, text)},
};
static const struct codec_message error_message = {
    "ImageError", sizeof(struct image_error), error_fields, COUNT_OF(error_fields),
};

static const struct codec_field event_fields[] = {
    {1, "line", CODEC_STRING, 0, offsetof(struct image_event, line)},
    {2, "result", CODEC_MESSAGE, 0, offsetof(struct image_event, result), 0, &image_result_message},
    {3, "error", CODEC_MESSAGE, 0, offsetof(struct image_event, error), 0, &error_message},
};
const struct codec_message image_event_message = {
    "ImageEvent", sizeof(struct image_event), event_fields, COUNT_OF(event_fields),
};
/* clang-format on */

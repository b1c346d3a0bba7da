/* SPDX-License-Identifier: Apache-2.0 */
/* Tables; see bodies.h. */
#include "interpreter/bodies.h"

/* clang-format off */
static const struct codec_field execute_fields[] = {
    {1, "code", CODEC_STRING, CODEC_REQUIRED, offsetof(struct execute_body, code)},
    {2, "context_id", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct execute_body, context_id), offsetof(struct execute_body, has_context_id)},
    {3, "language", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct execute_body, language), offsetof(struct execute_body, has_language)},
    {4, "env_vars", CODEC_RAW, 0, offsetof(struct execute_body, env_vars)},
};
const struct codec_message execute_message =
    {"execute", sizeof(struct execute_body), execute_fields, COUNT_OF(execute_fields)};

static const struct codec_field context_fields[] = {
    {1, "language", CODEC_STRING, 0, offsetof(struct context_body, language)},
    {2, "cwd", CODEC_STRING, 0, offsetof(struct context_body, cwd)},
};
const struct codec_message context_message =
    {"context", sizeof(struct context_body), context_fields, COUNT_OF(context_fields)};

static const struct codec_field event_fields[] = {
    {1, "type", CODEC_STRING, CODEC_REQUIRED, offsetof(struct kernel_event, type)},
    {2, "main", CODEC_BOOL, 0, offsetof(struct kernel_event, is_main)},
    {3, "data", CODEC_RAW, 0, offsetof(struct kernel_event, data)},
    {4, "name", CODEC_STRING, 0, offsetof(struct kernel_event, name)},
    {5, "value", CODEC_STRING, 0, offsetof(struct kernel_event, value)},
    {6, "traceback", CODEC_STRING, 0, offsetof(struct kernel_event, traceback)},
    {7, "status", CODEC_NUMBER, 0, offsetof(struct kernel_event, status)},
    {8, "of", CODEC_NUMBER, 0, offsetof(struct kernel_event, of)},
};
const struct codec_message kernel_event_message =
    {"event", sizeof(struct kernel_event), event_fields, COUNT_OF(event_fields)};
/* clang-format on */

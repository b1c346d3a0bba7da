/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of tests/messages.h. */
#include "messages.h"

#include <string.h>

static const struct codec_enum_value file_type_values[] = {
    {0, "FILE_TYPE_UNSPECIFIED"},
    {1, "FILE_TYPE_FILE"       },
    {2, "FILE_TYPE_DIRECTORY"  },
    {3, "FILE_TYPE_SYMLINK"    },
};
static const struct codec_enum file_types = {file_type_values, COUNT_OF(file_type_values)};

static const struct codec_enum_value kind_values[] = {
    {0,  "KIND_NONE" },
    {9,  "KIND_NINE" },
    {-1, "KIND_MINUS"},
};
static const struct codec_enum kinds = {kind_values, COUNT_OF(kind_values)};

static const struct codec_message sample_empty_message = {"Empty", 0, NULL, 0};
static const struct codec_message sample_started_message;

/* clang-format off */
static const struct codec_field size_fields[] = {
    {1, "cols", CODEC_UINT32, 0, offsetof(struct sample_size, cols)},
    {2, "rows", CODEC_UINT32, 0, offsetof(struct sample_size, rows)},
};
/* clang-format on */
const struct codec_message sample_size_message = {"Size", sizeof(struct sample_size), size_fields,
                                                  COUNT_OF(size_fields)};

/* clang-format off */
static const struct codec_field pty_fields[] = {
    {1, "size", CODEC_MESSAGE, 0, offsetof(struct sample_pty, size), 0, &sample_size_message},
};
/* clang-format on */
const struct codec_message sample_pty_message = {"PTY", sizeof(struct sample_pty), pty_fields,
                                                 COUNT_OF(pty_fields)};

/* clang-format off */
static const struct codec_field config_fields[] = {
    {1, "cmd", CODEC_STRING, 0, offsetof(struct sample_config, cmd)},
    {2, "args", CODEC_STRING, CODEC_REPEATED, offsetof(struct sample_config, args)},
    {3, "envs", CODEC_MAP, 0, offsetof(struct sample_config, envs)},
    {4, "cwd", CODEC_STRING, CODEC_OPTIONAL,
     offsetof(struct sample_config, cwd), offsetof(struct sample_config, has_cwd)},
};
/* clang-format on */
const struct codec_message sample_config_message = {"ProcessConfig", sizeof(struct sample_config),
                                                    config_fields, COUNT_OF(config_fields)};

/* clang-format off */
static const struct codec_field start_fields[] = {
    {1, "process", CODEC_MESSAGE, 0,
     offsetof(struct sample_start, process), 0, &sample_config_message},
    {2, "pty", CODEC_MESSAGE, 0, offsetof(struct sample_start, pty), 0, &sample_pty_message},
    {3, "tag", CODEC_STRING, CODEC_OPTIONAL,
     offsetof(struct sample_start, tag), offsetof(struct sample_start, has_tag)},
    {4, "stdin", CODEC_BOOL, CODEC_OPTIONAL,
     offsetof(struct sample_start, stdin_open), offsetof(struct sample_start, has_stdin)},
};
/* clang-format on */
const struct codec_message sample_start_message = {"StartRequest", sizeof(struct sample_start),
                                                   start_fields, COUNT_OF(start_fields)};

/* clang-format off */
static const struct codec_field started_fields[] = {
    {1, "pid", CODEC_UINT32, 0, offsetof(struct sample_started, pid)},
};
/* clang-format on */
static const struct codec_message sample_started_message = {
    "Started", sizeof(struct sample_started), started_fields, COUNT_OF(started_fields)};

/* clang-format off */
static const struct codec_field data_fields[] = {
    {1, "stdout", CODEC_BYTES, CODEC_ONEOF,
     offsetof(struct sample_data, out), offsetof(struct sample_data, set)},
    {2, "stderr", CODEC_BYTES, CODEC_ONEOF,
     offsetof(struct sample_data, err), offsetof(struct sample_data, set)},
    {3, "pty", CODEC_BYTES, CODEC_ONEOF,
     offsetof(struct sample_data, pty), offsetof(struct sample_data, set)},
};
/* clang-format on */
const struct codec_message sample_data_message = {"Data", sizeof(struct sample_data), data_fields,
                                                  COUNT_OF(data_fields)};

/* clang-format off */
static const struct codec_field end_fields[] = {
    {1, "exitCode", CODEC_SINT32, 0, offsetof(struct sample_end, exit_code)},
    {2, "exited", CODEC_BOOL, 0, offsetof(struct sample_end, exited)},
    {3, "status", CODEC_STRING, 0, offsetof(struct sample_end, status)},
    {4, "error", CODEC_STRING, CODEC_OPTIONAL,
     offsetof(struct sample_end, error), offsetof(struct sample_end, has_error)},
};
/* clang-format on */
const struct codec_message sample_end_message = {"End", sizeof(struct sample_end), end_fields,
                                                 COUNT_OF(end_fields)};

/* clang-format off */
static const struct codec_field event_fields[] = {
    {1, "start", CODEC_MESSAGE, CODEC_ONEOF,
     offsetof(struct sample_event, start), offsetof(struct sample_event, set),
     &sample_started_message},
    {2, "data", CODEC_MESSAGE, CODEC_ONEOF,
     offsetof(struct sample_event, data), offsetof(struct sample_event, set), &sample_data_message},
    {3, "end", CODEC_MESSAGE, CODEC_ONEOF,
     offsetof(struct sample_event, end), offsetof(struct sample_event, set), &sample_end_message},
    {4, "keepalive", CODEC_MESSAGE, CODEC_ONEOF,
     offsetof(struct sample_event, keepalive), offsetof(struct sample_event, set),
     &sample_empty_message},
};
/* clang-format on */
const struct codec_message sample_event_message = {"ProcessEvent", sizeof(struct sample_event),
                                                   event_fields, COUNT_OF(event_fields)};

/* clang-format off */
static const struct codec_field entry_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct sample_entry, name)},
    {2, "type", CODEC_ENUM, 0, offsetof(struct sample_entry, type), 0, &file_types},
    {3, "path", CODEC_STRING, 0, offsetof(struct sample_entry, path)},
    {4, "size", CODEC_INT64, 0, offsetof(struct sample_entry, size)},
    {5, "mode", CODEC_UINT32, 0, offsetof(struct sample_entry, mode)},
    {6, "permissions", CODEC_STRING, 0, offsetof(struct sample_entry, permissions)},
    {7, "owner", CODEC_STRING, 0, offsetof(struct sample_entry, owner)},
    {8, "group", CODEC_STRING, 0, offsetof(struct sample_entry, group)},
    {9, "modifiedTime", CODEC_TIMESTAMP, 0, offsetof(struct sample_entry, modified)},
    {10, "symlinkTarget", CODEC_STRING, CODEC_OPTIONAL,
     offsetof(struct sample_entry, target), offsetof(struct sample_entry, has_target)},
    {11, "metadata", CODEC_MAP, 0, offsetof(struct sample_entry, metadata)},
};
/* clang-format on */
const struct codec_message sample_entry_message = {"EntryInfo", sizeof(struct sample_entry),
                                                   entry_fields, COUNT_OF(entry_fields)};

/* clang-format off */
static const struct codec_field all_fields[] = {
    {1, "text", CODEC_STRING, 0, offsetof(struct sample_all, text)},
    {2, "bytes", CODEC_BYTES, 0, offsetof(struct sample_all, bytes)},
    {3, "flag", CODEC_BOOL, 0, offsetof(struct sample_all, flag)},
    {4, "i32", CODEC_INT32, 0, offsetof(struct sample_all, i32)},
    {5, "s32", CODEC_SINT32, 0, offsetof(struct sample_all, s32)},
    {6, "u32", CODEC_UINT32, 0, offsetof(struct sample_all, u32)},
    {7, "i64", CODEC_INT64, 0, offsetof(struct sample_all, i64)},
    {8, "u64", CODEC_UINT64, 0, offsetof(struct sample_all, u64)},
    {9, "real", CODEC_DOUBLE, 0, offsetof(struct sample_all, real)},
    {10, "kind", CODEC_ENUM, 0, offsetof(struct sample_all, kind), 0, &kinds},
    {11, "child", CODEC_MESSAGE, 0, offsetof(struct sample_all, child), 0, &sample_all_message},
    {12, "time", CODEC_TIMESTAMP, 0, offsetof(struct sample_all, time)},
    {13, "map", CODEC_MAP, 0, offsetof(struct sample_all, map)},
    {14, "texts", CODEC_STRING, CODEC_REPEATED, offsetof(struct sample_all, texts)},
    {15, "blobs", CODEC_BYTES, CODEC_REPEATED, offsetof(struct sample_all, blobs)},
    {16, "flags", CODEC_BOOL, CODEC_REPEATED, offsetof(struct sample_all, flags)},
    {17, "i32s", CODEC_INT32, CODEC_REPEATED, offsetof(struct sample_all, i32s)},
    {18, "s32s", CODEC_SINT32, CODEC_REPEATED, offsetof(struct sample_all, s32s)},
    {19, "u32s", CODEC_UINT32, CODEC_REPEATED, offsetof(struct sample_all, u32s)},
    {20, "i64s", CODEC_INT64, CODEC_REPEATED, offsetof(struct sample_all, i64s)},
    {21, "u64s", CODEC_UINT64, CODEC_REPEATED, offsetof(struct sample_all, u64s)},
    {22, "reals", CODEC_DOUBLE, CODEC_REPEATED, offsetof(struct sample_all, reals)},
    {23, "kinds", CODEC_ENUM, CODEC_REPEATED, offsetof(struct sample_all, kinds), 0, &kinds},
    {24, "children", CODEC_MESSAGE, CODEC_REPEATED,
     offsetof(struct sample_all, children), 0, &sample_all_message},
    {25, "times", CODEC_TIMESTAMP, CODEC_REPEATED, offsetof(struct sample_all, times)},
    {26, "maybeI32", CODEC_INT32, CODEC_OPTIONAL,
     offsetof(struct sample_all, maybe_i32), offsetof(struct sample_all, has_i32)},
    {27, "maybeText", CODEC_STRING, CODEC_OPTIONAL,
     offsetof(struct sample_all, maybe_text), offsetof(struct sample_all, has_text)},
    {28, "oneText", CODEC_STRING, CODEC_ONEOF,
     offsetof(struct sample_all, one_text), offsetof(struct sample_all, set)},
    {29, "oneI32", CODEC_INT32, CODEC_ONEOF,
     offsetof(struct sample_all, one_i32), offsetof(struct sample_all, set)},
    {1000, "oneSize", CODEC_MESSAGE, CODEC_ONEOF,
     offsetof(struct sample_all, one_size), offsetof(struct sample_all, set), &sample_size_message},
};
/* clang-format on */
const struct codec_message sample_all_message = {"All", sizeof(struct sample_all), all_fields,
                                                 COUNT_OF(all_fields)};

/* clang-format off */
static const struct codec_field rest_fields[] = {
    {1, "templateID", CODEC_STRING, CODEC_REQUIRED, offsetof(struct sample_rest, template_id)},
    {2, "timeout", CODEC_NUMBER, CODEC_ALWAYS, offsetof(struct sample_rest, timeout)},
    {3, "allowInternetAccess", CODEC_BOOL, CODEC_OPTIONAL,
     offsetof(struct sample_rest, may_reach), offsetof(struct sample_rest, has_reach), NULL,
     "allow_internet_access"},
    {4, "raw", CODEC_RAW, 0, offsetof(struct sample_rest, raw)},
    {5, "list", CODEC_NUMBER, CODEC_REPEATED | CODEC_ALWAYS, offsetof(struct sample_rest, list)},
    {6, "note", CODEC_STRING, CODEC_ALWAYS, offsetof(struct sample_rest, note)},
    {7, "at", CODEC_TIMESTAMP, CODEC_ALWAYS, offsetof(struct sample_rest, at)},
    {8, "size", CODEC_MESSAGE, CODEC_ALWAYS,
     offsetof(struct sample_rest, size), 0, &sample_size_message},
};
/* clang-format on */
const struct codec_message sample_rest_message = {"Rest", sizeof(struct sample_rest), rest_fields,
                                                  COUNT_OF(rest_fields)};

static const struct codec_field start_batch_fields[] = {
    {1, "items", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct sample_batch, items), 0,
     &sample_start_message},
};
const struct codec_message sample_start_batch = {"StartRequestBatch", sizeof(struct sample_batch),
                                                 start_batch_fields, 1};

static const struct codec_field event_batch_fields[] = {
    {1, "items", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct sample_batch, items), 0,
     &sample_event_message},
};
const struct codec_message sample_event_batch = {"ProcessEventBatch", sizeof(struct sample_batch),
                                                 event_batch_fields, 1};

static const struct codec_field entry_batch_fields[] = {
    {1, "items", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct sample_batch, items), 0,
     &sample_entry_message},
};
const struct codec_message sample_entry_batch = {"EntryInfoBatch", sizeof(struct sample_batch),
                                                 entry_batch_fields, 1};

static const struct codec_field all_batch_fields[] = {
    {1, "items", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct sample_batch, items), 0,
     &sample_all_message},
};
const struct codec_message sample_all_batch = {"AllBatch", sizeof(struct sample_batch),
                                               all_batch_fields, 1};

const struct codec_message *sample_message(const char *name)
{
    static const struct codec_message *const all[] = {
        &sample_config_message, &sample_start_message, &sample_event_message, &sample_entry_message,
        &sample_all_message,    &sample_rest_message,  &sample_start_batch,   &sample_event_batch,
        &sample_entry_batch,    &sample_all_batch,
    };

    for (size_t i = 0; i < COUNT_OF(all); i++) {
        if (strcmp(all[i]->name, name) == 0)
            return all[i];
    }
    return NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Field tables of envd's messages; numbers are protobuf tags (wire.md 3.3, 3.6, 3.8). */
#include "envd/messages.h"

/* Rows too long for one line crash the table alignment of clang-format 14. */
/* clang-format off */
static const struct codec_enum_value signal_values[] = {
    {0, "SIGNAL_UNSPECIFIED"},
    {9, "SIGNAL_SIGKILL"},
    {15, "SIGNAL_SIGTERM"},
};
static const struct codec_enum signal_enum = {signal_values, COUNT_OF(signal_values)};

static const struct codec_enum_value file_type_values[] = {
    {FILE_TYPE_UNSPECIFIED, "FILE_TYPE_UNSPECIFIED"},
    {FILE_TYPE_FILE, "FILE_TYPE_FILE"},
    {FILE_TYPE_DIRECTORY, "FILE_TYPE_DIRECTORY"},
    {FILE_TYPE_SYMLINK, "FILE_TYPE_SYMLINK"},
};
static const struct codec_enum file_type_enum = {file_type_values, COUNT_OF(file_type_values)};

static const struct codec_enum_value event_type_values[] = {
    {0, "EVENT_TYPE_UNSPECIFIED"}, {1, "EVENT_TYPE_CREATE"}, {2, "EVENT_TYPE_WRITE"},
    {3, "EVENT_TYPE_REMOVE"},      {4, "EVENT_TYPE_RENAME"}, {5, "EVENT_TYPE_CHMOD"},
};
static const struct codec_enum event_type_enum = {event_type_values, COUNT_OF(event_type_values)};

const struct codec_message empty_message = {NULL, sizeof(struct empty), NULL, 0};

static const struct codec_field pty_size_fields[] = {
    {1, "cols", CODEC_UINT32, 0, offsetof(struct pty_size, cols), 0, NULL},
    {2, "rows", CODEC_UINT32, 0, offsetof(struct pty_size, rows), 0, NULL},
};
const struct codec_message pty_size_message = {NULL, sizeof(struct pty_size),
                                               pty_size_fields, COUNT_OF(pty_size_fields)};

static const struct codec_field pty_config_fields[] = {
    {1, "size", CODEC_MESSAGE, 0, offsetof(struct pty_config, size), 0, &pty_size_message},
};
static const struct codec_message pty_config_message = {
    NULL, sizeof(struct pty_config), pty_config_fields, COUNT_OF(pty_config_fields)};

static const struct codec_field process_config_fields[] = {
    {1, "cmd", CODEC_STRING, 0, offsetof(struct process_config, cmd), 0, NULL},
    {2, "args", CODEC_STRING, CODEC_REPEATED, offsetof(struct process_config, args), 0, NULL},
    {3, "envs", CODEC_MAP, 0, offsetof(struct process_config, envs), 0, NULL},
    {4, "cwd", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct process_config, cwd),
     offsetof(struct process_config, has_cwd), NULL},
};
static const struct codec_message process_config_message = {
    NULL, sizeof(struct process_config), process_config_fields,
    COUNT_OF(process_config_fields)};

static const struct codec_field start_request_fields[] = {
    {1, "process", CODEC_MESSAGE, 0, offsetof(struct start_request, process), 0,
     &process_config_message},
    {2, "pty", CODEC_MESSAGE, 0, offsetof(struct start_request, pty), 0, &pty_config_message},
    {3, "tag", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct start_request, tag),
     offsetof(struct start_request, has_tag), NULL},
    {4, "stdin", CODEC_BOOL, CODEC_OPTIONAL, offsetof(struct start_request, wants_stdin),
     offsetof(struct start_request, has_stdin), NULL},
};
const struct codec_message start_request_message = {NULL, sizeof(struct start_request),
                                                    start_request_fields,
                                                    COUNT_OF(start_request_fields)};

static const struct codec_field process_info_fields[] = {
    {1, "config", CODEC_MESSAGE, 0, offsetof(struct process_info, config), 0,
     &process_config_message},
    {2, "pid", CODEC_UINT32, 0, offsetof(struct process_info, pid), 0, NULL},
    {3, "tag", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct process_info, tag),
     offsetof(struct process_info, has_tag), NULL},
};
static const struct codec_message process_info_message = {
    NULL, sizeof(struct process_info), process_info_fields,
    COUNT_OF(process_info_fields)};

static const struct codec_field process_list_fields[] = {
    {1, "processes", CODEC_MESSAGE, CODEC_REPEATED | CODEC_ALWAYS,
     offsetof(struct process_list, processes), 0, &process_info_message},
};
const struct codec_message process_list_message = {NULL, sizeof(struct process_list),
                                                   process_list_fields,
                                                   COUNT_OF(process_list_fields)};

static const struct codec_field selector_fields[] = {
    {1, "pid", CODEC_UINT32, CODEC_ONEOF, offsetof(struct selector, pid),
     offsetof(struct selector, which), NULL},
    {2, "tag", CODEC_STRING, CODEC_ONEOF, offsetof(struct selector, tag),
     offsetof(struct selector, which), NULL},
};
static const struct codec_message selector_message = {NULL, sizeof(struct selector),
                                                      selector_fields, COUNT_OF(selector_fields)};

static const struct codec_field selector_request_fields[] = {
    {1, "process", CODEC_MESSAGE, 0, offsetof(struct selector_request, process), 0,
     &selector_message},
};
const struct codec_message selector_request_message = {
    NULL, sizeof(struct selector_request), selector_request_fields,
    COUNT_OF(selector_request_fields)};

static const struct codec_field update_request_fields[] = {
    {1, "process", CODEC_MESSAGE, 0, offsetof(struct update_request, process), 0,
     &selector_message},
    {2, "pty", CODEC_MESSAGE, 0, offsetof(struct update_request, pty), 0, &pty_config_message},
};
const struct codec_message update_request_message = {
    NULL, sizeof(struct update_request), update_request_fields,
    COUNT_OF(update_request_fields)};

static const struct codec_field process_input_fields[] = {
    {1, "stdin", CODEC_BYTES, CODEC_ONEOF, offsetof(struct process_input_data, stdin_bytes),
     offsetof(struct process_input_data, which), NULL},
    {2, "pty", CODEC_BYTES, CODEC_ONEOF, offsetof(struct process_input_data, pty_bytes),
     offsetof(struct process_input_data, which), NULL},
};
static const struct codec_message process_input_message = {
    NULL, sizeof(struct process_input_data), process_input_fields,
    COUNT_OF(process_input_fields)};

static const struct codec_field send_input_request_fields[] = {
    {1, "process", CODEC_MESSAGE, 0, offsetof(struct send_input_request, process), 0,
     &selector_message},
    {2, "input", CODEC_MESSAGE, 0, offsetof(struct send_input_request, input), 0,
     &process_input_message},
};
const struct codec_message send_input_request_message = {
    NULL, sizeof(struct send_input_request), send_input_request_fields,
    COUNT_OF(send_input_request_fields)};

static const struct codec_field stream_input_data_fields[] = {
    {2, "input", CODEC_MESSAGE, 0, offsetof(struct stream_input_data, input), 0,
     &process_input_message},
};
static const struct codec_message stream_input_data_message = {
    NULL, sizeof(struct stream_input_data), stream_input_data_fields,
    COUNT_OF(stream_input_data_fields)};

static const struct codec_field stream_input_request_fields[] = {
    {1, "start", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct stream_input_request, start),
     offsetof(struct stream_input_request, which), &selector_request_message},
    {2, "data", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct stream_input_request, data),
     offsetof(struct stream_input_request, which), &stream_input_data_message},
    {3, "keepalive", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct stream_input_request, keepalive),
     offsetof(struct stream_input_request, which), &empty_message},
};
const struct codec_message stream_input_request_message = {
    NULL, sizeof(struct stream_input_request), stream_input_request_fields,
    COUNT_OF(stream_input_request_fields)};

static const struct codec_field send_signal_request_fields[] = {
    {1, "process", CODEC_MESSAGE, 0, offsetof(struct send_signal_request, process), 0,
     &selector_message},
    {2, "signal", CODEC_ENUM, 0, offsetof(struct send_signal_request, signal), 0, &signal_enum},
};
const struct codec_message send_signal_request_message = {
    NULL, sizeof(struct send_signal_request), send_signal_request_fields,
    COUNT_OF(send_signal_request_fields)};

static const struct codec_field start_event_fields[] = {
    {1, "pid", CODEC_UINT32, 0, offsetof(struct start_event, pid), 0, NULL},
};
static const struct codec_message start_event_message = {
    NULL, sizeof(struct start_event), start_event_fields, COUNT_OF(start_event_fields)};

static const struct codec_field data_event_fields[] = {
    {1, "stdout", CODEC_BYTES, CODEC_ONEOF, offsetof(struct data_event, stdout_bytes),
     offsetof(struct data_event, which), NULL},
    {2, "stderr", CODEC_BYTES, CODEC_ONEOF, offsetof(struct data_event, stderr_bytes),
     offsetof(struct data_event, which), NULL},
    {3, "pty", CODEC_BYTES, CODEC_ONEOF, offsetof(struct data_event, pty_bytes),
     offsetof(struct data_event, which), NULL},
};
static const struct codec_message data_event_message = {
    NULL, sizeof(struct data_event), data_event_fields, COUNT_OF(data_event_fields)};

static const struct codec_field end_event_fields[] = {
    {1, "exitCode", CODEC_SINT32, 0, offsetof(struct end_event, exit_code), 0, NULL},
    {2, "exited", CODEC_BOOL, 0, offsetof(struct end_event, exited), 0, NULL},
    {3, "status", CODEC_STRING, 0, offsetof(struct end_event, status), 0, NULL},
    {4, "error", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct end_event, error),
     offsetof(struct end_event, has_error), NULL},
};
static const struct codec_message end_event_message = {
    NULL, sizeof(struct end_event), end_event_fields, COUNT_OF(end_event_fields)};

static const struct codec_field process_event_fields[] = {
    {1, "start", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct process_event, start),
     offsetof(struct process_event, which), &start_event_message},
    {2, "data", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct process_event, data),
     offsetof(struct process_event, which), &data_event_message},
    {3, "end", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct process_event, end),
     offsetof(struct process_event, which), &end_event_message},
    {4, "keepalive", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct process_event, keepalive),
     offsetof(struct process_event, which), &empty_message},
};
static const struct codec_message process_event_message = {
    NULL, sizeof(struct process_event), process_event_fields,
    COUNT_OF(process_event_fields)};

static const struct codec_field event_response_fields[] = {
    {1, "event", CODEC_MESSAGE, 0, offsetof(struct event_response, event), 0,
     &process_event_message},
};
const struct codec_message event_response_message = {
    NULL, sizeof(struct event_response), event_response_fields,
    COUNT_OF(event_response_fields)};

static const struct codec_field entry_info_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct entry_info, name), 0, NULL},
    {2, "type", CODEC_ENUM, 0, offsetof(struct entry_info, type), 0, &file_type_enum},
    {3, "path", CODEC_STRING, 0, offsetof(struct entry_info, path), 0, NULL},
    {4, "size", CODEC_INT64, 0, offsetof(struct entry_info, size), 0, NULL},
    {5, "mode", CODEC_UINT32, 0, offsetof(struct entry_info, mode), 0, NULL},
    {6, "permissions", CODEC_STRING, 0, offsetof(struct entry_info, permissions), 0, NULL},
    {7, "owner", CODEC_STRING, 0, offsetof(struct entry_info, owner), 0, NULL},
    {8, "group", CODEC_STRING, 0, offsetof(struct entry_info, group), 0, NULL},
    {9, "modifiedTime", CODEC_TIMESTAMP, CODEC_OPTIONAL, offsetof(struct entry_info, modified),
     offsetof(struct entry_info, has_modified), NULL},
    {10, "symlinkTarget", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct entry_info, symlink_target),
     offsetof(struct entry_info, has_symlink_target), NULL},
    {11, "metadata", CODEC_MAP, 0, offsetof(struct entry_info, metadata), 0, NULL},
};
const struct codec_message entry_info_message = {NULL, sizeof(struct entry_info),
                                                 entry_info_fields, COUNT_OF(entry_info_fields)};

static const struct codec_field path_request_fields[] = {
    {1, "path", CODEC_STRING, 0, offsetof(struct path_request, path), 0, NULL},
};
const struct codec_message path_request_message = {NULL, sizeof(struct path_request),
                                                   path_request_fields,
                                                   COUNT_OF(path_request_fields)};

static const struct codec_field entry_response_fields[] = {
    {1, "entry", CODEC_MESSAGE, 0, offsetof(struct entry_response, entry), 0, &entry_info_message},
};
const struct codec_message entry_response_message = {
    NULL, sizeof(struct entry_response), entry_response_fields,
    COUNT_OF(entry_response_fields)};

static const struct codec_field move_request_fields[] = {
    {1, "source", CODEC_STRING, 0, offsetof(struct move_request, source), 0, NULL},
    {2, "destination", CODEC_STRING, 0, offsetof(struct move_request, destination), 0, NULL},
};
const struct codec_message move_request_message = {NULL, sizeof(struct move_request),
                                                   move_request_fields,
                                                   COUNT_OF(move_request_fields)};

static const struct codec_field list_dir_request_fields[] = {
    {1, "path", CODEC_STRING, 0, offsetof(struct list_dir_request, path), 0, NULL},
    {2, "depth", CODEC_UINT32, 0, offsetof(struct list_dir_request, depth), 0, NULL},
};
const struct codec_message list_dir_request_message = {
    NULL, sizeof(struct list_dir_request), list_dir_request_fields,
    COUNT_OF(list_dir_request_fields)};

static const struct codec_field list_dir_response_fields[] = {
    {1, "entries", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct list_dir_response, entries), 0,
     &entry_info_message},
};
const struct codec_message list_dir_response_message = {
    NULL, sizeof(struct list_dir_response), list_dir_response_fields,
    COUNT_OF(list_dir_response_fields)};

static const struct codec_field watch_request_fields[] = {
    {1, "path", CODEC_STRING, 0, offsetof(struct watch_request, path), 0, NULL},
    {2, "recursive", CODEC_BOOL, 0, offsetof(struct watch_request, recursive), 0, NULL},
    {3, "includeEntry", CODEC_BOOL, 0, offsetof(struct watch_request, include_entry), 0, NULL},
    {4, "allowNetworkMounts", CODEC_BOOL, 0, offsetof(struct watch_request, allow_network_mounts),
     0, NULL},
};
const struct codec_message watch_request_message = {NULL, sizeof(struct watch_request),
                                                    watch_request_fields,
                                                    COUNT_OF(watch_request_fields)};

static const struct codec_field watcher_request_fields[] = {
    {1, "watcherId", CODEC_STRING, 0, offsetof(struct watcher_request, watcher_id), 0, NULL},
};
const struct codec_message watcher_request_message = {
    NULL, sizeof(struct watcher_request), watcher_request_fields,
    COUNT_OF(watcher_request_fields)};

static const struct codec_field filesystem_event_fields[] = {
    {1, "name", CODEC_STRING, 0, offsetof(struct filesystem_event, name), 0, NULL},
    {2, "type", CODEC_ENUM, 0, offsetof(struct filesystem_event, type), 0, &event_type_enum},
    {3, "entry", CODEC_MESSAGE, 0, offsetof(struct filesystem_event, entry), 0,
     &entry_info_message},
};
const struct codec_message filesystem_event_message = {
    NULL, sizeof(struct filesystem_event), filesystem_event_fields,
    COUNT_OF(filesystem_event_fields)};

static const struct codec_field watcher_events_fields[] = {
    {1, "events", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct watcher_events, events), 0,
     &filesystem_event_message},
};
const struct codec_message watcher_events_message = {
    NULL, sizeof(struct watcher_events), watcher_events_fields,
    COUNT_OF(watcher_events_fields)};

static const struct codec_field watch_response_fields[] = {
    {1, "start", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct watch_response, start),
     offsetof(struct watch_response, which), &empty_message},
    {2, "filesystem", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct watch_response, filesystem),
     offsetof(struct watch_response, which), &filesystem_event_message},
    {3, "keepalive", CODEC_MESSAGE, CODEC_ONEOF, offsetof(struct watch_response, keepalive),
     offsetof(struct watch_response, which), &empty_message},
};
const struct codec_message watch_response_message = {
    NULL, sizeof(struct watch_response), watch_response_fields,
    COUNT_OF(watch_response_fields)};

static const struct codec_field init_request_fields[] = {
    {1, "sandboxId", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, sandbox_id),
     offsetof(struct init_request, has_sandbox_id), NULL},
    {2, "templateId", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, template_id),
     offsetof(struct init_request, has_template_id), NULL},
    {3, "envVars", CODEC_MAP, CODEC_OPTIONAL, offsetof(struct init_request, envs),
     offsetof(struct init_request, has_envs), NULL},
    {4, "accessToken", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, access_token),
     offsetof(struct init_request, has_access_token), NULL},
    {5, "controlToken", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, control_token),
     offsetof(struct init_request, has_control_token), NULL},
    {6, "defaultUser", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, user),
     offsetof(struct init_request, has_user), NULL},
    {7, "defaultWorkdir", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, workdir),
     offsetof(struct init_request, has_workdir), NULL},
    {8, "hostname", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, hostname),
     offsetof(struct init_request, has_hostname), NULL},
    {9, "timestamp", CODEC_TIMESTAMP, CODEC_OPTIONAL, offsetof(struct init_request, timestamp),
     offsetof(struct init_request, has_timestamp), NULL},
    {10, "entropy", CODEC_BYTES, CODEC_OPTIONAL, offsetof(struct init_request, entropy),
     offsetof(struct init_request, has_entropy), NULL},
    {11, "hyperloopIP", CODEC_STRING, CODEC_OPTIONAL, offsetof(struct init_request, events_address),
     offsetof(struct init_request, has_events_address), NULL},
    {12, "replayBytes", CODEC_UINT32, CODEC_OPTIONAL, offsetof(struct init_request, replay_bytes),
     offsetof(struct init_request, has_replay_bytes), NULL},
    {13, "volumeMounts", CODEC_RAW, 0, offsetof(struct init_request, volumes), 0, NULL},
    {14, "caBundle", CODEC_RAW, 0, offsetof(struct init_request, certificates), 0, NULL},
};
const struct codec_message init_request_message = {NULL, sizeof(struct init_request),
                                                   init_request_fields,
                                                   COUNT_OF(init_request_fields)};
/* clang-format on */

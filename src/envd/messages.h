/* SPDX-License-Identifier: Apache-2.0 */
/* The messages of envd's protocol (wire.md 3.3, 3.6, 3.8) and of POST /init, as structs and as
 * codec tables: JSON and protobuf both come from these. Used by the RPC handlers and by the tests.
 */
#ifndef ENVD_MESSAGES_H
#define ENVD_MESSAGES_H

#include "codec/codec.h"

struct empty {
    char unused;
};

/* process.Process */
struct pty_size {
    uint32_t cols, rows;
};

struct pty_config {
    struct pty_size *size;
};

struct process_config {
    struct str cmd;
    struct codec_list args; /* struct str */
    struct codec_list envs; /* struct codec_pair */
    bool has_cwd;
    struct str cwd;
};

struct start_request {
    struct process_config *process;
    struct pty_config *pty;
    bool has_tag;
    struct str tag;
    bool has_stdin;
    bool wants_stdin;
};

struct process_info {
    struct process_config *config;
    uint32_t pid;
    bool has_tag;
    struct str tag;
};

struct process_list {
    struct codec_list processes; /* struct process_info */
};

enum selector_kind {
    SELECTOR_NONE,
    SELECTOR_PID,
    SELECTOR_TAG,
    SELECTOR_SERIAL, /* `pid` holds it; not of the protocol: agentcube.h */
};

struct selector {
    uint32_t which;
    uint32_t pid;
    struct str tag;
};

struct selector_request { /* Connect, CloseStdin */
    struct selector *process;
};

struct update_request {
    struct selector *process;
    struct pty_config *pty;
};

enum input_kind {
    INPUT_NONE,
    INPUT_STDIN,
    INPUT_PTY,
};

struct process_input_data {
    uint32_t which;
    struct str stdin_bytes, pty_bytes;
};

struct send_input_request {
    struct selector *process;
    struct process_input_data *input;
};

struct stream_input_data {
    struct process_input_data *input;
};

enum stream_input_kind {
    STREAM_INPUT_NONE,
    STREAM_INPUT_START,
    STREAM_INPUT_DATA,
    STREAM_INPUT_KEEPALIVE,
};

struct stream_input_request {
    uint32_t which;
    struct selector_request *start;
    struct stream_input_data *data;
    struct empty *keepalive;
};

struct send_signal_request {
    struct selector *process;
    int32_t signal;
};

enum event_kind {
    EVENT_NONE,
    EVENT_START,
    EVENT_DATA,
    EVENT_END,
    EVENT_KEEPALIVE,
};

enum data_kind {
    DATA_NONE,
    DATA_STDOUT,
    DATA_STDERR,
    DATA_PTY,
};

struct start_event {
    uint32_t pid;
    uint32_t serial; /* of no use to the protocol: agentcube.h */
};

struct data_event {
    uint32_t which;
    struct str stdout_bytes, stderr_bytes, pty_bytes;
};

struct end_event {
    int32_t exit_code;
    bool exited;
    struct str status;
    bool has_error;
    struct str error;
};

struct process_event {
    uint32_t which;
    struct start_event *start;
    struct data_event *data;
    struct end_event *end;
    struct empty *keepalive;
};

struct event_response { /* StartResponse, ConnectResponse */
    struct process_event *event;
};

/* filesystem.Filesystem */
enum file_type {
    FILE_TYPE_UNSPECIFIED,
    FILE_TYPE_FILE,
    FILE_TYPE_DIRECTORY,
    FILE_TYPE_SYMLINK,
};

struct entry_info {
    struct str name;
    int32_t type;
    struct str path;
    int64_t size;
    uint32_t mode;
    struct str permissions, owner, group;
    bool has_modified;
    struct codec_time modified;
    bool has_symlink_target;
    struct str symlink_target;
    struct codec_list metadata; /* struct codec_pair */
};

struct path_request { /* Stat, MakeDir, Remove */
    struct str path;
};

struct entry_response {
    struct entry_info *entry;
};

struct move_request {
    struct str source, destination;
};

struct list_dir_request {
    struct str path;
    uint32_t depth;
};

struct list_dir_response {
    struct codec_list entries; /* struct entry_info */
};

struct watch_request { /* WatchDir, CreateWatcher */
    struct str path;
    bool recursive, include_entry, allow_network_mounts;
};

struct watcher_request { /* GetWatcherEvents, RemoveWatcher; answer of CreateWatcher */
    struct str watcher_id;
};

struct filesystem_event {
    struct str name;
    int32_t type;
    struct entry_info *entry;
};

struct watcher_events {
    struct codec_list events; /* struct filesystem_event */
};

struct watch_response {
    uint32_t which; /* 1 start, 2 filesystem, 3 keepalive */
    struct empty *start;
    struct filesystem_event *filesystem;
    struct empty *keepalive;
};

/* POST /init. A member that is absent leaves what was set before. */
struct init_request {
    bool has_sandbox_id, has_template_id, has_envs, has_access_token, has_control_token;
    bool has_user, has_workdir, has_hostname, has_timestamp, has_entropy;
    bool has_events_address, has_replay_bytes;
    struct str sandbox_id, template_id;
    struct codec_list envs; /* struct codec_pair */
    struct str access_token, control_token;
    struct str user, workdir, hostname;
    struct codec_time timestamp;
    struct str entropy;
    struct str events_address;        /* hyperloopIP: where programs report events, or "" */
    uint32_t replay_bytes;            /* of output kept per process: replay.h; 0 = none */
    struct str volumes, certificates; /* any JSON; refused: nothing would come of them */
};

extern const struct codec_message empty_message;
extern const struct codec_message pty_size_message;
extern const struct codec_message start_request_message;
extern const struct codec_message process_list_message;
extern const struct codec_message selector_request_message;
extern const struct codec_message update_request_message;
extern const struct codec_message send_input_request_message;
extern const struct codec_message stream_input_request_message;
extern const struct codec_message send_signal_request_message;
extern const struct codec_message event_response_message;
extern const struct codec_message entry_info_message;
extern const struct codec_message path_request_message;
extern const struct codec_message entry_response_message;
extern const struct codec_message move_request_message;
extern const struct codec_message list_dir_request_message;
extern const struct codec_message list_dir_response_message;
extern const struct codec_message watch_request_message;
extern const struct codec_message watcher_request_message;
extern const struct codec_message filesystem_event_message;
extern const struct codec_message watcher_events_message;
extern const struct codec_message watch_response_message;
extern const struct codec_message init_request_message;

#endif

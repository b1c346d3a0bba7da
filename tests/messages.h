/* SPDX-License-Identifier: Apache-2.0 */
/* Messages to test the codec with: the guest's own shapes and one that has every type. The same
 * are described for protoc in tests/differential/messages.proto. */
#ifndef TESTS_MESSAGES_H
#define TESTS_MESSAGES_H

#include "codec/codec.h"

struct sample_config {
    struct str cmd;
    struct codec_list args; /* struct str */
    struct codec_list envs; /* struct codec_pair */
    struct str cwd;
    bool has_cwd;
};

struct sample_size {
    uint32_t cols, rows;
};

struct sample_pty {
    struct sample_size *size;
};

struct sample_start {
    struct sample_config *process;
    struct sample_pty *pty;
    struct str tag;
    bool has_tag, has_stdin, stdin_open;
};

struct sample_data {
    uint32_t set;
    struct str out, err, pty;
};

struct sample_end {
    int32_t exit_code;
    bool exited, has_error;
    struct str status, error;
};

struct sample_started {
    uint32_t pid;
};

struct sample_event {
    uint32_t set;
    struct sample_started *start;
    struct sample_data *data;
    struct sample_end *end;
    void *keepalive;
};

struct sample_entry {
    struct str name;
    int32_t type;
    struct str path;
    int64_t size;
    uint32_t mode;
    struct str permissions, owner, group;
    struct codec_time modified;
    struct str target;
    bool has_target;
    struct codec_list metadata;
};

struct sample_all {
    struct str text, bytes;
    bool flag;
    int32_t i32, s32;
    uint32_t u32;
    int64_t i64;
    uint64_t u64;
    double real;
    int32_t kind;
    struct sample_all *child;
    struct codec_time time;
    struct codec_list map;
    struct codec_list texts, blobs, flags, i32s, s32s, u32s, i64s, u64s, reals, kinds, children;
    struct codec_list times;
    int32_t maybe_i32;
    struct str maybe_text;
    bool has_i32, has_text;
    uint32_t set; /* of the oneof */
    struct str one_text;
    int32_t one_i32;
    struct sample_size *one_size;
};

/* JSON only: as the REST side uses it. */
struct sample_rest {
    struct str template_id;
    int64_t timeout;
    bool may_reach, has_reach;
    struct str raw;
    struct codec_list list; /* int64_t */
    struct str note;
    struct codec_time at;
    struct sample_size *size;
};

extern const struct codec_message sample_config_message, sample_size_message, sample_pty_message;
extern const struct codec_message sample_start_message, sample_data_message, sample_end_message;
extern const struct codec_message sample_event_message, sample_entry_message, sample_all_message;
extern const struct codec_message sample_rest_message;

/* A Batch of each (`repeated … items = 1`), so that one run of protoc serves many cases. */
struct sample_batch {
    struct codec_list items;
};

extern const struct codec_message sample_start_batch, sample_event_batch, sample_entry_batch;
extern const struct codec_message sample_all_batch;

/* By its name, or NULL. */
const struct codec_message *sample_message(const char *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What is stored of templates that teams build, of their builds, and what a build is asked to do.
 * Field numbers are for ever; a new field takes a new number. */
#ifndef DOMAIN_BUILD_RECORD_H
#define DOMAIN_BUILD_RECORD_H

#include "codec/codec.h"

/* Which build "name:tag" is. */
struct template_tag {
    struct str name, build_id;
    int64_t created_at_ms; /* when it was assigned */
};

struct team_template_record {
    struct str id, team_id, name;
    struct str description, start_cmd, dockerfile; /* AgentCube's words about it (AC-24) */
    struct codec_list aliases;                     /* of struct str: further names */
    struct codec_list tags;                        /* of struct template_tag */
    bool is_public;
    int32_t cpu_count, memory_mb; /* of its next build that does not say */
    int64_t created_at_ms, updated_at_ms;
};

struct build_record {
    struct str id, template_id, team_id;
    int32_t state; /* enum build_state */
    int64_t created_at_ms, updated_at_ms, finished_at_ms;
    int32_t cpu_count, memory_mb, disk_mb;
    struct codec_list tags;         /* of struct str: what it is once it is ready */
    struct str reason, reason_step; /* of one that failed; the step may be empty */
    struct str source;              /* for people: the image or template it began with */
    /* What sandboxes start from: a tree, those over it, and, unless it is empty, a snapshot. */
    struct str rootfs, snapshot;
    struct codec_list layers; /* of struct str */
    bool has_memory;          /* the snapshot holds processes: the start command runs in it */
    struct str user, workdir, start_cmd, ready_cmd;
    struct codec_list env;
    struct codec_list ports; /* of struct str "80/tcp": what EXPOSE named */
    /* build_push.h: SHA-256 of the password, until when it is good, the manifest that was pushed.
     */
    struct str push_key;
    int64_t push_until_ms;
    struct str pushed;
};

struct build_step {
    struct str type; /* "RUN", "COPY", … */
    struct codec_list args;
    struct str files_hash;
    bool is_forced;
};

/* Credentials of a registry (CT-13). */
struct registry_auth {
    struct str type;
    struct str username, password;
    struct str aws_key_id, aws_secret, aws_region;
    struct str gcp_account; /* JSON */
};

/* TemplateBuildStartV2 (wire.md 5.2). */
struct build_plan {
    struct str from_image, from_template;
    struct registry_auth *auth;
    bool is_forced;
    struct codec_list steps; /* of struct build_step */
    struct str start_cmd, ready_cmd;
    int64_t probe_port; /* CT-11 */
    struct str probe_path;
    bool has_probe_port;
    /* In place of a source and steps, until it is read (dockerfile.h). */
    struct str dockerfile, files_hash;
};

/* Lines of a build's log, as they are kept when it has ended. */
struct build_line_record {
    int64_t at_ms;
    int32_t level; /* enum build_level */
    struct str step, text;
};

struct build_log_record {
    int64_t first;           /* number of the first line that is kept */
    struct codec_list lines; /* of struct build_line_record */
};

extern const struct codec_message team_template_message, build_message, build_plan_message;
extern const struct codec_message build_log_message;

#endif

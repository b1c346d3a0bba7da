/* SPDX-License-Identifier: Apache-2.0 */
/* What is said on node's sockets.
 *
 * node.sock (api -> node): commands, each answered by NODE_DONE with the same seq; NODE_EXITED
 * comes unasked. dial.sock (edge or `sandlot run` -> node): NODE_DIAL, answered by NODE_DIALED that
 * carries a descriptor. The two sockets have different owners, so edge cannot command; api may dial
 * too. */
#ifndef IPC_NODE_MESSAGES_H
#define IPC_NODE_MESSAGES_H

#include "ipc/channel.h"

enum node_message {
    NODE_START = 1, /* struct node_start */
    NODE_STOP,      /* struct node_stop */
    NODE_LIST,      /* struct node_list: NODE_ITEM per sandbox and snapshot, then NODE_DONE */
    NODE_UNUSED,    /* no number changes: a role may be of a newer version than node */
    NODE_DONE,      /* struct node_done */
    NODE_ITEM,      /* struct node_item */
    NODE_USAGE,     /* struct node_usage, unasked: a sample */
    NODE_EXITED,    /* struct node_exited */
    NODE_DIAL,      /* struct node_dial */
    NODE_DIALED,    /* struct node_done; fd attached when kind is 0 */
    NODE_REPORT,    /* struct node_report, unasked: after each list and every few seconds */
    NODE_RESUME,    /* struct node_start: let one that is paused run again; its files are its own */
    NODE_POLICY,    /* struct node_policy: of a sandbox that runs */
    NODE_PAUSE,     /* struct node_keep, without a name */
    NODE_SNAPSHOT,  /* struct node_keep */
    NODE_SNAPSHOT_REMOVE, /* struct node_stop, whose id is a snapshot's */
    NODE_IMAGE,   /* struct node_image, with a stream socket: a job on images that talks over it
                     (image_messages.h); nothing is answered but there */
    NODE_SECRETS, /* struct node_policy whose policy is a struct egress_secrets: of one that runs or
                     is about to start; node keeps it in memory only */
    NODE_CONNECTION, /* struct egress_record (egress_messages.h), unasked */
    NODE_MESSAGE_COUNT,
};

struct node_start {
    uint64_t seq;
    struct str id;
    struct str rootfs; /* name of a template tree below node's template directory, no path */
    struct str hostname;
    uint64_t memory_bytes, disk_bytes;
    uint32_t cpu_percent, pids_max;
    struct str init;   /* JSON for envd's POST /init */
    struct str policy; /* struct egress_policy (egress_messages.h), encoded; empty: the default */
    struct codec_list
        layers;          /* of struct str: names of trees over rootfs, lowest first, no paths */
    struct str snapshot; /* name of the one to start from; empty: none */
    bool is_cold;        /* boot, even when there are processes to go on with */
};

struct node_stop {
    uint64_t seq;
    struct str id;
};

struct node_keep {
    uint64_t seq;
    struct str id;
    struct str name; /* of the snapshot to be */
    bool keeps_memory;
};

struct node_policy {
    uint64_t seq;
    struct str id;
    struct str policy; /* as in node_start */
};

struct node_image {
    uint64_t seq;
};

struct node_list {
    uint64_t seq;
};

struct node_done {
    uint64_t seq;
    uint32_t kind; /* enum err_kind; 0 = success */
    struct str text;
    uint64_t took_us; /* NODE_START, NODE_RESUME: launch to envd ready; NODE_PAUSE: all of it;
                         NODE_SNAPSHOT: while the sandbox stood still */
    bool is_frozen;   /* NODE_PAUSE: its memory is in its processes alone (runtime_is_frozen()) */
};

enum node_item_kind {
    NODE_ITEM_RUNNING,
    NODE_ITEM_PAUSED,
    NODE_ITEM_SNAPSHOT, /* id is its name */
    NODE_ITEM_PAUSING,  /* runs, and a pause of it is under way */
};

struct node_item {
    uint64_t seq;
    struct str id;
    uint32_t kind;
};

struct node_usage {
    struct str id;
    uint64_t cpu_us, memory_bytes, memory_cache_bytes, disk_bytes;
    uint32_t pids;
};

/* The machine and what node did on it since it started. */
struct node_report {
    int64_t started_at_ms;
    uint64_t sandboxes, starting;
    uint64_t starts, start_failures, stops, dials, samples;
    uint32_t cpu_count, cpu_permille; /* of all cores, over the time since the last report */
    uint64_t memory_total, memory_used;
    uint64_t disk_total, disk_used; /* of the file system of data_dir */
    uint64_t huge_total, huge_used, huge_reserved, huge_size;
    struct str cpu_family, cpu_model, cpu_model_name, cpu_architecture;
    struct str mount_point, device, fs_type;
    struct str host;
    uint64_t paused, snapshots; /* there now */
    uint64_t pauses, resumes, snapshots_made, pause_failures, resume_failures, snapshot_failures;
    bool can_snapshot_files, can_checkpoint;
    struct str lasting_note; /* why not; empty when both are there */
};

struct node_exited {
    struct str id;
    uint32_t reason; /* enum exit_reason */
};

struct node_dial {
    uint64_t seq;
    struct str id;
    uint32_t port;
};

extern const struct channel_protocol node_protocol;
extern const struct codec_message node_report_message; /* api keeps a copy of the last one */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The message tables of node's sockets. Numbers are on the wire between roles of different
 * versions: append, never change. */
#include "ipc/node_messages.h"

#include "ipc/egress_messages.h"

static const struct codec_field start_fields[] = {
    {1,  "seq",         CODEC_UINT64, 0,              offsetof(struct node_start, seq)         },
    {2,  "id",          CODEC_STRING, 0,              offsetof(struct node_start, id)          },
    {3,  "rootfs",      CODEC_STRING, 0,              offsetof(struct node_start, rootfs)      },
    {4,  "hostname",    CODEC_STRING, 0,              offsetof(struct node_start, hostname)    },
    {5,  "memoryBytes", CODEC_UINT64, 0,              offsetof(struct node_start, memory_bytes)},
    {6,  "diskBytes",   CODEC_UINT64, 0,              offsetof(struct node_start, disk_bytes)  },
    {7,  "cpuPercent",  CODEC_UINT32, 0,              offsetof(struct node_start, cpu_percent) },
    {8,  "pidsMax",     CODEC_UINT32, 0,              offsetof(struct node_start, pids_max)    },
    {9,  "init",        CODEC_STRING, 0,              offsetof(struct node_start, init)        },
    {10, "policy",      CODEC_BYTES,  0,              offsetof(struct node_start, policy)      },
    {11, "layers",      CODEC_STRING, CODEC_REPEATED, offsetof(struct node_start, layers)      },
    {12, "snapshot",    CODEC_STRING, 0,              offsetof(struct node_start, snapshot)    },
    {13, "isCold",      CODEC_BOOL,   0,              offsetof(struct node_start, is_cold)     },
};
static const struct codec_message start_message = {"NodeStart", sizeof(struct node_start),
                                                   start_fields, COUNT_OF(start_fields)};

static const struct codec_field stop_fields[] = {
    {1, "seq", CODEC_UINT64, 0, offsetof(struct node_stop, seq)},
    {2, "id",  CODEC_STRING, 0, offsetof(struct node_stop, id) },
};
static const struct codec_message stop_message = {"NodeStop", sizeof(struct node_stop), stop_fields,
                                                  COUNT_OF(stop_fields)};

static const struct codec_field keep_fields[] = {
    {1, "seq",         CODEC_UINT64, 0, offsetof(struct node_keep, seq)         },
    {2, "id",          CODEC_STRING, 0, offsetof(struct node_keep, id)          },
    {3, "name",        CODEC_STRING, 0, offsetof(struct node_keep, name)        },
    {4, "keepsMemory", CODEC_BOOL,   0, offsetof(struct node_keep, keeps_memory)},
};
static const struct codec_message keep_message = {"NodeKeep", sizeof(struct node_keep), keep_fields,
                                                  COUNT_OF(keep_fields)};

static const struct codec_field network_fields[] = {
    {1, "seq",    CODEC_UINT64, 0, offsetof(struct node_policy, seq)   },
    {2, "id",     CODEC_STRING, 0, offsetof(struct node_policy, id)    },
    {3, "policy", CODEC_BYTES,  0, offsetof(struct node_policy, policy)},
};
static const struct codec_message policy_message = {"NodePolicy", sizeof(struct node_policy),
                                                    network_fields, COUNT_OF(network_fields)};

static const struct codec_field list_fields[] = {
    {1, "seq", CODEC_UINT64, 0, offsetof(struct node_list, seq)},
};
static const struct codec_message list_message = {"NodeList", sizeof(struct node_list), list_fields,
                                                  COUNT_OF(list_fields)};

static const struct codec_field image_fields[] = {
    {1, "seq", CODEC_UINT64, 0, offsetof(struct node_image, seq)},
};
static const struct codec_message image_message = {"NodeImage", sizeof(struct node_image),
                                                   image_fields, COUNT_OF(image_fields)};

static const struct codec_field done_fields[] = {
    {1, "seq",      CODEC_UINT64, 0, offsetof(struct node_done, seq)      },
    {2, "kind",     CODEC_UINT32, 0, offsetof(struct node_done, kind)     },
    {3, "text",     CODEC_STRING, 0, offsetof(struct node_done, text)     },
    {4, "tookUs",   CODEC_UINT64, 0, offsetof(struct node_done, took_us)  },
    {5, "isFrozen", CODEC_BOOL,   0, offsetof(struct node_done, is_frozen)},
};
static const struct codec_message done_message = {"NodeDone", sizeof(struct node_done), done_fields,
                                                  COUNT_OF(done_fields)};

static const struct codec_field item_fields[] = {
    {1, "seq",  CODEC_UINT64, 0, offsetof(struct node_item, seq) },
    {2, "id",   CODEC_STRING, 0, offsetof(struct node_item, id)  },
    {3, "kind", CODEC_UINT32, 0, offsetof(struct node_item, kind)},
};
static const struct codec_message item_message = {"NodeItem", sizeof(struct node_item), item_fields,
                                                  COUNT_OF(item_fields)};

static const struct codec_field usage_fields[] = {
    {2, "id",               CODEC_STRING, 0, offsetof(struct node_usage, id)                },
    {3, "cpuUs",            CODEC_UINT64, 0, offsetof(struct node_usage, cpu_us)            },
    {4, "memoryBytes",      CODEC_UINT64, 0, offsetof(struct node_usage, memory_bytes)      },
    {5, "memoryCacheBytes", CODEC_UINT64, 0, offsetof(struct node_usage, memory_cache_bytes)},
    {6, "diskBytes",        CODEC_UINT64, 0, offsetof(struct node_usage, disk_bytes)        },
    {7, "pids",             CODEC_UINT32, 0, offsetof(struct node_usage, pids)              },
};
static const struct codec_message usage_message = {"NodeUsage", sizeof(struct node_usage),
                                                   usage_fields, COUNT_OF(usage_fields)};

static const struct codec_field exited_fields[] = {
    {1, "id",     CODEC_STRING, 0, offsetof(struct node_exited, id)    },
    {2, "reason", CODEC_UINT32, 0, offsetof(struct node_exited, reason)},
};
static const struct codec_message exited_message = {"NodeExited", sizeof(struct node_exited),
                                                    exited_fields, COUNT_OF(exited_fields)};

static const struct codec_field dial_fields[] = {
    {1, "seq",  CODEC_UINT64, 0, offsetof(struct node_dial, seq) },
    {2, "id",   CODEC_STRING, 0, offsetof(struct node_dial, id)  },
    {3, "port", CODEC_UINT32, 0, offsetof(struct node_dial, port)},
};
static const struct codec_message dial_message = {"NodeDial", sizeof(struct node_dial), dial_fields,
                                                  COUNT_OF(dial_fields)};

/* clang-format off */
static const struct codec_field report_fields[] = {
    {1, "startedAtMs", CODEC_INT64, 0, offsetof(struct node_report, started_at_ms)},
    {2, "sandboxes", CODEC_UINT64, 0, offsetof(struct node_report, sandboxes)},
    {3, "starting", CODEC_UINT64, 0, offsetof(struct node_report, starting)},
    {4, "starts", CODEC_UINT64, 0, offsetof(struct node_report, starts)},
    {5, "startFailures", CODEC_UINT64, 0, offsetof(struct node_report, start_failures)},
    {6, "stops", CODEC_UINT64, 0, offsetof(struct node_report, stops)},
    {7, "dials", CODEC_UINT64, 0, offsetof(struct node_report, dials)},
    {8, "samples", CODEC_UINT64, 0, offsetof(struct node_report, samples)},
    {9, "cpuCount", CODEC_UINT32, 0, offsetof(struct node_report, cpu_count)},
    {10, "cpuPermille", CODEC_UINT32, 0, offsetof(struct node_report, cpu_permille)},
    {11, "memoryTotal", CODEC_UINT64, 0, offsetof(struct node_report, memory_total)},
    {12, "memoryUsed", CODEC_UINT64, 0, offsetof(struct node_report, memory_used)},
    {13, "diskTotal", CODEC_UINT64, 0, offsetof(struct node_report, disk_total)},
    {14, "diskUsed", CODEC_UINT64, 0, offsetof(struct node_report, disk_used)},
    {15, "hugeTotal", CODEC_UINT64, 0, offsetof(struct node_report, huge_total)},
    {16, "hugeUsed", CODEC_UINT64, 0, offsetof(struct node_report, huge_used)},
    {17, "hugeReserved", CODEC_UINT64, 0, offsetof(struct node_report, huge_reserved)},
    {18, "hugeSize", CODEC_UINT64, 0, offsetof(struct node_report, huge_size)},
    {19, "cpuFamily", CODEC_STRING, 0, offsetof(struct node_report, cpu_family)},
    {20, "cpuModel", CODEC_STRING, 0, offsetof(struct node_report, cpu_model)},
    {21, "cpuModelName", CODEC_STRING, 0, offsetof(struct node_report, cpu_model_name)},
    {22, "cpuArchitecture", CODEC_STRING, 0, offsetof(struct node_report, cpu_architecture)},
    {23, "mountPoint", CODEC_STRING, 0, offsetof(struct node_report, mount_point)},
    {24, "device", CODEC_STRING, 0, offsetof(struct node_report, device)},
    {25, "fsType", CODEC_STRING, 0, offsetof(struct node_report, fs_type)},
    {26, "host", CODEC_STRING, 0, offsetof(struct node_report, host)},
    {27, "paused", CODEC_UINT64, 0, offsetof(struct node_report, paused)},
    {28, "snapshots", CODEC_UINT64, 0, offsetof(struct node_report, snapshots)},
    {29, "pauses", CODEC_UINT64, 0, offsetof(struct node_report, pauses)},
    {30, "resumes", CODEC_UINT64, 0, offsetof(struct node_report, resumes)},
    {31, "snapshotsMade", CODEC_UINT64, 0, offsetof(struct node_report, snapshots_made)},
    {32, "pauseFailures", CODEC_UINT64, 0, offsetof(struct node_report, pause_failures)},
    {33, "resumeFailures", CODEC_UINT64, 0, offsetof(struct node_report, resume_failures)},
    {34, "snapshotFailures", CODEC_UINT64, 0, offsetof(struct node_report, snapshot_failures)},
    {35, "canSnapshotFiles", CODEC_BOOL, 0, offsetof(struct node_report, can_snapshot_files)},
    {36, "canCheckpoint", CODEC_BOOL, 0, offsetof(struct node_report, can_checkpoint)},
    {37, "lastingNote", CODEC_STRING, 0, offsetof(struct node_report, lasting_note)},
};
/* clang-format on */

const struct codec_message node_report_message = {"NodeReport", sizeof(struct node_report),
                                                  report_fields, COUNT_OF(report_fields)};

static const struct codec_message *const node_table[NODE_MESSAGE_COUNT] = {
    [NODE_START] = &start_message,
    [NODE_STOP] = &stop_message,
    [NODE_LIST] = &list_message,
    [NODE_DONE] = &done_message,
    [NODE_ITEM] = &item_message,
    [NODE_USAGE] = &usage_message,
    [NODE_EXITED] = &exited_message,
    [NODE_DIAL] = &dial_message,
    [NODE_DIALED] = &done_message,
    [NODE_REPORT] = &node_report_message,
    [NODE_RESUME] = &start_message,
    [NODE_POLICY] = &policy_message,
    [NODE_PAUSE] = &keep_message,
    [NODE_SNAPSHOT] = &keep_message,
    [NODE_SNAPSHOT_REMOVE] = &stop_message,
    [NODE_IMAGE] = &image_message,
    [NODE_SECRETS] = &policy_message,
    [NODE_CONNECTION] = &egress_record_message,
};

const struct channel_protocol node_protocol = {node_table, NODE_MESSAGE_COUNT};

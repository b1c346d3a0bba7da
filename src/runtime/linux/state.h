/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of a running sandbox for the next process: one small file of "key value" lines
 * in run_dir/sandboxes, named by the id. */
#ifndef RUNTIME_LINUX_STATE_H
#define RUNTIME_LINUX_STATE_H

#include "base/err.h"
#include "base/str.h"
#include "runtime/linux/boot_id.h"
#include "runtime/runtime.h"

enum {
    STATE_SIZE = 4096,
    STATE_ROOTFS_SIZE = 1025,
    STATE_ENVD_SIZE = 1025,
    STATE_DIR_SIZE = 96,
    STATE_CGROUP_SIZE = 48,
};

struct state {
    uint64_t pid, start_time;
    uint64_t slot;
    uint64_t uid;                   /* the slot's first, on the host */
    char dir[STATE_DIR_SIZE];       /* of its files */
    char cgroup[STATE_CGROUP_SIZE]; /* its name in every hierarchy */
    struct sandbox_limits limits;
    char boot_id[BOOT_ID_SIZE]; /* "": it gets another when it is resumed */
    uint64_t below_bytes;       /* of layers under its own */
    char rootfs[STATE_ROOTFS_SIZE], envd[STATE_ENVD_SIZE]; /* "": from before they were written */
};

/* Returns the length, at most STATE_SIZE - 1. */
size_t state_format(const struct state *s, char out[STATE_SIZE]);
must_check int state_parse(struct str text, struct state *out, struct err *err);

#endif

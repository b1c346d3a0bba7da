/* SPDX-License-Identifier: Apache-2.0 */
/* The two versions' files behind cgroup.h. `path` is the sandbox's group relative to `dir`. */
#ifndef RUNTIME_LINUX_CGROUP_INTERNAL_H
#define RUNTIME_LINUX_CGROUP_INTERNAL_H

#include "runtime/linux/cgroup.h"

struct cgroup_files {
    int (*memory_limit)(int dir, const char *name, uint64_t bytes, struct err *err);
    int (*cpu_limit)(int dir, const char *name, uint32_t percent, struct err *err);
    int (*cpu_unlimit)(int dir, const char *name, struct err *err);
    uint64_t (*cpu_us)(int dir, const char *name);
    void (*memory_use)(int dir, const char *name, struct sandbox_stats *out);
    uint64_t (*oom_kills)(int dir, const char *name);
    void (*push_out)(int dir, const char *name);
    const char *weight_file, *weights[2]; /* as the kernel has it, and the least */
};

extern const struct cgroup_files cgroup_v1_files;
extern const struct cgroup_files cgroup_v2_files;

enum {
    CGROUP_PATH_SIZE = 128,
    CGROUP_TEXT_SIZE = 8 << 10,
    CPU_PERIOD_US = 100000,
};

/* "name/file" into `out`. */
const char *cgroup_path(char out[CGROUP_PATH_SIZE], const char *name, const char *file);
/* Number behind `key` in a file of "key value" lines; 0 when it is not there. */
uint64_t cgroup_field(int dir, const char *path, const char *key);

/* cgroup_find.c: fills dirs, place and unified. */
must_check int cgroups_find(struct cgroups *g, const struct cgroup_source *source, const char *mode,
                            struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Files of the v1 controllers; used by cgroup.c. */
#include <errno.h>

#include "runtime/linux/cgroup_internal.h"
#include "runtime/linux/files.h"

enum { SOCKETS_PART = 4 };

static bool write_limit(int dir, const char *name, const char *file, uint64_t bytes,
                        struct err *err)
{
    char path[CGROUP_PATH_SIZE];

    return file_write_u64(dir, cgroup_path(path, name, file), bytes, err) == 0;
}

/* Without a limit of its own what sockets of IP hold is not counted at all. It is counted apart, so
 * it is only a part of the rest. */
static int socket_limit(int dir, const char *name, uint64_t bytes, struct err *err)
{
    struct err why = {0};

    if (write_limit(dir, name, "memory.kmem.tcp.limit_in_bytes", bytes / SOCKETS_PART, &why) ||
        why.sys == ENOENT)
        return 0;
    *err = why;
    return -1;
}

static int memory_limit(int dir, const char *name, uint64_t bytes, struct err *err)
{
    struct err no_swap = {0};

    /* with swap is only there when the kernel accounts it, and never below the limit without: the
     * one is lowered last, and raised first */
    bool is_set = write_limit(dir, name, "memory.limit_in_bytes", bytes, err);

    if (!is_set && err->sys == EINVAL)
        is_set = write_limit(dir, name, "memory.memsw.limit_in_bytes", bytes, &no_swap) &&
                 write_limit(dir, name, "memory.limit_in_bytes", bytes, err);
    if (!is_set)
        return -1;
    if (write_limit(dir, name, "memory.memsw.limit_in_bytes", bytes, &no_swap) ||
        no_swap.sys == ENOENT)
        return socket_limit(dir, name, bytes, err);
    *err = no_swap;
    return -1;
}

static int cpu_limit(int dir, const char *name, uint32_t percent, struct err *err)
{
    char path[CGROUP_PATH_SIZE];
    uint64_t quota = (uint64_t)percent * CPU_PERIOD_US / 100;

    /* the period is the kernel's default of 100 ms */
    return file_write_u64(dir, cgroup_path(path, name, "cpu.cfs_quota_us"), quota, err);
}

static int cpu_unlimit(int dir, const char *name, struct err *err)
{
    char path[CGROUP_PATH_SIZE];

    return file_write(dir, cgroup_path(path, name, "cpu.cfs_quota_us"), STR("-1"), err);
}

static uint64_t cpu_us(int dir, const char *name)
{
    char path[CGROUP_PATH_SIZE];
    uint64_t ns = 0;

    ignore(file_number(dir, cgroup_path(path, name, "cpuacct.usage"), &ns));
    return ns / 1000;
}

static void memory_use(int dir, const char *name, struct sandbox_stats *out)
{
    char path[CGROUP_PATH_SIZE];

    ignore(file_number(dir, cgroup_path(path, name, "memory.usage_in_bytes"), &out->memory_bytes));
    out->memory_cache_bytes =
        cgroup_field(dir, cgroup_path(path, name, "memory.stat"), "total_cache");
}

static uint64_t oom_kills(int dir, const char *name)
{
    char path[CGROUP_PATH_SIZE];

    return cgroup_field(dir, cgroup_path(path, name, "memory.oom_control"), "oom_kill");
}

static void push_out(int dir, const char *name)
{
    char path[CGROUP_PATH_SIZE];
    struct err unused;

    ignore(file_write(dir, cgroup_path(path, name, "memory.force_empty"), STR("0"), &unused));
}

const struct cgroup_files cgroup_v1_files = {
    memory_limit, cpu_limit, cpu_unlimit,  cpu_us,       memory_use,
    oom_kills,    push_out,  "cpu.shares", {"1024", "2"}
};

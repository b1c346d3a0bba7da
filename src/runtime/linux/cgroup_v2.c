/* SPDX-License-Identifier: Apache-2.0 */
/* Files of cgroup2; used by cgroup.c. */
#include <errno.h>
#include <stdio.h>

#include "runtime/linux/cgroup_internal.h"
#include "runtime/linux/files.h"

static int memory_limit(int dir, const char *name, uint64_t bytes, struct err *err)
{
    char path[CGROUP_PATH_SIZE];
    struct err no_swap = {0};

    if (file_write_u64(dir, cgroup_path(path, name, "memory.max"), bytes, err) != 0)
        return -1;
    if (file_write_u64(dir, cgroup_path(path, name, "memory.swap.max"), 0, &no_swap) == 0 ||
        no_swap.sys == ENOENT)
        return 0;
    *err = no_swap;
    return -1;
}

static int cpu_limit(int dir, const char *name, uint32_t percent, struct err *err)
{
    char path[CGROUP_PATH_SIZE], text[CGROUP_PATH_SIZE];
    int len = snprintf(text, sizeof(text), "%llu %d",
                       (unsigned long long)percent * CPU_PERIOD_US / 100, CPU_PERIOD_US);

    return file_write(dir, cgroup_path(path, name, "cpu.max"), (struct str){text, (size_t)len},
                      err);
}

/* There whether or not the cpu controller is. */
static int cpu_unlimit(int dir, const char *name, struct err *err)
{
    char path[CGROUP_PATH_SIZE];

    return file_write(dir, cgroup_path(path, name, "cpu.max"), STR("max"), err);
}

static uint64_t cpu_us(int dir, const char *name)
{
    char path[CGROUP_PATH_SIZE];

    return cgroup_field(dir, cgroup_path(path, name, "cpu.stat"), "usage_usec");
}

static void memory_use(int dir, const char *name, struct sandbox_stats *out)
{
    char path[CGROUP_PATH_SIZE];

    ignore(file_number(dir, cgroup_path(path, name, "memory.current"), &out->memory_bytes));
    out->memory_cache_bytes = cgroup_field(dir, cgroup_path(path, name, "memory.stat"), "file");
}

static uint64_t oom_kills(int dir, const char *name)
{
    char path[CGROUP_PATH_SIZE];

    return cgroup_field(dir, cgroup_path(path, name, "memory.events"), "oom_kill");
}

/* Swap is allowed for as long as this takes; what is there stays. The kernel says EAGAIN when it
 * got less than it was asked for. */
static void push_out(int dir, const char *name)
{
    char path[CGROUP_PATH_SIZE];
    uint64_t bytes = 0;
    struct err unused;

    if (file_number(dir, cgroup_path(path, name, "memory.current"), &bytes) != 0 ||
        file_write(dir, cgroup_path(path, name, "memory.swap.max"), STR("max"), &unused) != 0)
        return;
    ignore(file_write_u64(dir, cgroup_path(path, name, "memory.reclaim"), bytes, &unused));
    ignore(file_write_u64(dir, cgroup_path(path, name, "memory.swap.max"), 0, &unused));
}

const struct cgroup_files cgroup_v2_files = {
    memory_limit, cpu_limit, cpu_unlimit,  cpu_us,      memory_use,
    oom_kills,    push_out,  "cpu.weight", {"100", "1"}
};

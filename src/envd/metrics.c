/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics (wire.md 3.9), and what we add to it: pids, io and pressure. Everything is of the
 * sandbox. Its own cgroup comes first (it knows the limits); without one /proc and sysinfo, whose
 * processes are the sandbox's, but whose memory is the machine's. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "envd/answer.h"
#include "envd/guest.h"
#include "envd/handlers.h"
#include "envd/kernel.h"

enum {
    METRICS_BODY_MAX = 2048,
    STAT_UTIME = 14,  /* fields of /proc/<pid>/stat, counted from 1: user, system and the same of */
    STAT_CSTIME = 17, /* children that were waited for */
    PROCS_MAX = 65536,
};

struct metrics {
    uint32_t cpu_count, pids;
    double cpu_used_pct;
    uint64_t mem_total, mem_used, mem_cache, disk_total, disk_used;
};

/* v2 first, then v1. */
static bool either_number(const char *v2, const char *v1, uint64_t *out)
{
    return kernel_number(v2, out) || kernel_number(v1, out);
}

static void read_memory(struct metrics *m)
{
    char text[KERNEL_TEXT_MAX];
    struct str info = kernel_text("/proc/meminfo", text);
    uint64_t free_kb = 0, cached_kb = 0, total_kb = 0, limit, used;

    ignore(kernel_labelled(info, "MemTotal:", &total_kb)); /* absent: stays 0 */
    ignore(kernel_labelled(info, "MemAvailable:", &free_kb));
    ignore(kernel_labelled(info, "Cached:", &cached_kb));
    m->mem_total = total_kb * 1024;
    m->mem_used = total_kb > free_kb ? (total_kb - free_kb) * 1024 : 0;
    m->mem_cache = cached_kb * 1024;
    if (!either_number("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.usage_in_bytes",
                       &used))
        return;
    if (either_number("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.limit_in_bytes",
                      &limit) &&
        limit < m->mem_total) /* "no limit" is a huge number in v1 */
        m->mem_total = limit;
    m->mem_cache = 0;
    if (kernel_labelled(kernel_text("/sys/fs/cgroup/memory.stat", text), "file ", &m->mem_cache) ||
        kernel_labelled(kernel_text("/sys/fs/cgroup/memory.stat", text), "total_cache ",
                        &m->mem_cache))
        used = used > m->mem_cache ? used - m->mem_cache : 0;
    m->mem_used = used;
}

/* Processor time of a process and of its children that are gone, in ticks. */
static uint64_t ticks_of(struct str stat)
{
    const char *end = memrchr(stat.at, ')', stat.len); /* the name may hold blanks */
    struct str rest = end == NULL ? STR("") : str_from(stat, (size_t)(end - stat.at) + 2);
    uint64_t ticks = 0, value;

    for (unsigned field = 3; field <= STAT_CSTIME && rest.len > 0; field++) {
        if (str_to_u64(str_cut(rest, ' ', &rest), &value) && field >= STAT_UTIME)
            ticks += value;
    }
    return ticks;
}

/* All processes that we see: their count, and their time. */
static uint64_t read_processes(uint32_t *out_count)
{
    DIR *proc = opendir("/proc");
    const struct dirent *e;
    char path[300], text[KERNEL_TEXT_MAX];
    uint64_t pid, ticks = 0;

    *out_count = 0;
    while (proc != NULL && *out_count < PROCS_MAX && (e = readdir(proc)) != NULL) {
        if (!str_to_u64(str_of(e->d_name), &pid))
            continue;
        snprintf(path, sizeof(path), "/proc/%s/stat", e->d_name);
        ticks += ticks_of(kernel_text(path, text));
        (*out_count)++;
    }
    if (proc != NULL)
        closedir(proc);
    return ticks * (1000000 / getauxval(AT_CLKTCK));
}

static void read_cpu(struct metrics *m, struct metrics_sample *last)
{
    char text[KERNEL_TEXT_MAX];
    struct metrics_sample now = {read_processes(&m->pids), clock_mono_us()};
    cpu_set_t set;

    ignore(kernel_labelled(kernel_text("/sys/fs/cgroup/cpu.stat", text), "usage_usec",
                           &now.busy_us)); /* otherwise the sum it is */
    m->cpu_count = sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
    if (last->at_us != 0 && now.at_us > last->at_us && now.busy_us >= last->busy_us)
        m->cpu_used_pct = 100.0 * (double)(now.busy_us - last->busy_us) /
                          (double)(now.at_us - last->at_us) / m->cpu_count; /* of all there are */
    *last = now;
}

static void read_disk(struct metrics *m)
{
    struct statvfs fs;

    if (statvfs("/", &fs) != 0)
        return;
    m->disk_total = (uint64_t)fs.f_blocks * fs.f_frsize;
    m->disk_used = m->disk_total - (uint64_t)fs.f_bfree * fs.f_frsize;
}

/* The number behind `key` ("rbytes="), over all devices. */
static uint64_t sum_of(struct str text, const char *key)
{
    uint64_t sum = 0, value;

    while (text.len > 0) {
        struct str word = str_cut(text, ' ', &text), rest;
        struct str first = str_cut(word, '\n', &rest); /* a line's last word has the next's first */

        if (str_has_prefix(first, key) && str_to_u64(str_from(first, strlen(key)), &value))
            sum += value;
    }
    return sum;
}

/* ,"io":{…}: bytes since the start, where the cgroup counts them (v2). */
static void put_io(struct buf *out)
{
    char text[KERNEL_TEXT_MAX];
    struct str stat;
    auto_fd int fd = open("/sys/fs/cgroup/io.stat", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return; /* absent is not the same as none: the file of an idle sandbox is empty */
    stat = kernel_text("/sys/fs/cgroup/io.stat", text);
    buf_printf(out, ",\"io\":{\"read_bytes\":%llu,\"write_bytes\":%llu}",
               (unsigned long long)sum_of(stat, "rbytes="),
               (unsigned long long)sum_of(stat, "wbytes="));
}

/* ,"psi":{"cpu":{"some_us":1,"full_us":0},…}: time lost to waiting, where the cgroup counts it (v2
 * with pressure on). */
static void put_pressure(struct buf *out)
{
    static const char *const kinds[] = {"cpu", "memory", "io"};
    char path[64], text[KERNEL_TEXT_MAX];
    const char *before = ",\"psi\":{";

    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        struct str rest, some, full;

        snprintf(path, sizeof(path), "/sys/fs/cgroup/%s.pressure", kinds[i]);
        some = str_cut(kernel_text(path, text), '\n', &rest);
        if (some.len == 0)
            continue;
        full = str_cut(rest, '\n', &rest);
        buf_printf(out, "%s\"%s\":{\"some_us\":%llu,\"full_us\":%llu}", before, kinds[i],
                   (unsigned long long)sum_of(some, "total="),
                   (unsigned long long)sum_of(full, "total="));
        before = ",";
    }
    if (before[1] == '\0')
        buf_add_text(out, "}");
}

void metrics_get(struct guest *g, struct exchange *x)
{
    struct metrics m = {0};
    struct buf body;
    uint64_t pct; /* hundredths: printing a double costs a static program 10 KB */

    read_cpu(&m, &g->sample);
    read_memory(&m);
    read_disk(&m);
    pct = (uint64_t)(m.cpu_used_pct * 100.0);
    buf_init(&body, METRICS_BODY_MAX);
    buf_printf(&body,
               "{\"ts\":%lld,\"cpu_count\":%u,\"cpu_used_pct\":%llu.%02llu,"
               "\"mem_total\":%llu,\"mem_used\":%llu,\"mem_cache\":%llu,"
               "\"mem_total_mib\":%llu,\"mem_used_mib\":%llu,"
               "\"disk_used\":%llu,\"disk_total\":%llu,\"pids\":%u",
               (long long)(clock_wall_ms() / 1000), m.cpu_count, (unsigned long long)(pct / 100),
               (unsigned long long)(pct % 100), (unsigned long long)m.mem_total,
               (unsigned long long)m.mem_used, (unsigned long long)m.mem_cache,
               (unsigned long long)(m.mem_total >> 20), (unsigned long long)(m.mem_used >> 20),
               (unsigned long long)m.disk_used, (unsigned long long)m.disk_total, m.pids);
    put_io(&body);
    put_pressure(&body);
    buf_add_byte(&body, '}');
    answer_buf(x, 200, "application/json", &body);
}

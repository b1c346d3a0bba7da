/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics. The cgroup's own files come first (they know the sandbox's limits), /proc and
 * sysinfo otherwise. */
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "envd/answer.h"
#include "envd/guest.h"
#include "envd/handlers.h"

enum {
    METRICS_FILE_MAX = 2048 /* bytes read of one kernel file: what is wanted stands first */
};

struct metrics {
    uint32_t cpu_count;
    double cpu_used_pct;
    uint64_t mem_total, mem_used, mem_cache, disk_total, disk_used;
};

/* The start of a kernel file as text; empty when it cannot be read. */
static struct str read_text(const char *path, char out[METRICS_FILE_MAX])
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, out, METRICS_FILE_MAX);

    return (struct str){out, got > 0 ? (size_t)got : 0};
}

/* The number behind `label` at the start of a line: "MemTotal:   123 kB", "usage_usec 5". */
static bool labelled(struct str text, const char *label, uint64_t *out)
{
    while (text.len > 0) {
        struct str line = str_cut(text, '\n', &text), rest;

        if (!str_has_prefix(line, label))
            continue;
        line = str_trim(str_from(line, strlen(label)));
        return str_to_u64(str_cut(line, ' ', &rest), out);
    }
    return false;
}

static bool number_file(const char *path, uint64_t *out)
{
    char text[METRICS_FILE_MAX];
    struct str rest;

    return str_to_u64(str_cut(read_text(path, text), '\n', &rest), out);
}

static void read_memory(struct metrics *m)
{
    char text[METRICS_FILE_MAX];
    struct str info = read_text("/proc/meminfo", text);
    uint64_t free_kb = 0, cached_kb = 0, total_kb = 0, limit, used;

    ignore(labelled(info, "MemTotal:", &total_kb)); /* absent: stays 0 */
    ignore(labelled(info, "MemAvailable:", &free_kb));
    ignore(labelled(info, "Cached:", &cached_kb));
    m->mem_total = total_kb * 1024;
    m->mem_used = total_kb > free_kb ? (total_kb - free_kb) * 1024 : 0;
    m->mem_cache = cached_kb * 1024;
    if (!number_file("/sys/fs/cgroup/memory.current", &used))
        return;
    if (number_file("/sys/fs/cgroup/memory.max", &limit))
        m->mem_total = limit;
    if (labelled(read_text("/sys/fs/cgroup/memory.stat", text), "file ", &m->mem_cache))
        used = used > m->mem_cache ? used - m->mem_cache : 0;
    m->mem_used = used;
}

/* Microseconds of CPU time that were used by all. */
static uint64_t busy_us(void)
{
    char text[METRICS_FILE_MAX];
    struct str rest, line;
    uint64_t value, ticks = 0;

    if (labelled(read_text("/sys/fs/cgroup/cpu.stat", text), "usage_usec", &value))
        return value;
    line = str_cut(read_text("/proc/stat", text), '\n', &rest);
    rest = str_trim(str_from(line, strlen("cpu")));
    for (unsigned column = 0; column < 8 && rest.len > 0; column++) {
        bool is_idle = column == 3 || column == 4; /* idle, iowait */

        if (str_to_u64(str_cut(rest, ' ', &rest), &value) && !is_idle)
            ticks += value;
    }
    return ticks * (1000000 / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void read_cpu(struct metrics *m, struct metrics_sample *last)
{
    struct metrics_sample now = {busy_us(), clock_mono_us()};
    cpu_set_t set;

    m->cpu_count = sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
    if (last->at_us != 0 && now.at_us > last->at_us && now.busy_us >= last->busy_us)
        m->cpu_used_pct =
            100.0 * (double)(now.busy_us - last->busy_us) / (double)(now.at_us - last->at_us);
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

void metrics_get(struct guest *g, struct exchange *x)
{
    struct metrics m = {0};
    char body[512];
    int len;
    uint64_t pct; /* hundredths: printing a double costs a static program 10 KB */

    read_cpu(&m, &g->sample);
    read_memory(&m);
    read_disk(&m);
    pct = (uint64_t)(m.cpu_used_pct * 100.0);
    len =
        snprintf(body, sizeof(body),
                 "{\"ts\":%lld,\"cpu_count\":%u,\"cpu_used_pct\":%llu.%02llu,"
                 "\"mem_total\":%llu,\"mem_used\":%llu,\"mem_cache\":%llu,"
                 "\"mem_total_mib\":%llu,\"mem_used_mib\":%llu,"
                 "\"disk_used\":%llu,\"disk_total\":%llu}",
                 (long long)(clock_wall_ms() / 1000), m.cpu_count, (unsigned long long)(pct / 100),
                 (unsigned long long)(pct % 100), (unsigned long long)m.mem_total,
                 (unsigned long long)m.mem_used, (unsigned long long)m.mem_cache,
                 (unsigned long long)(m.mem_total >> 20), (unsigned long long)(m.mem_used >> 20),
                 (unsigned long long)m.disk_used, (unsigned long long)m.disk_total);
    answer_body(x, 200, "application/json", (struct str){body, (size_t)len});
}

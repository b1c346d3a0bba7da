/* SPDX-License-Identifier: Apache-2.0 */
/* See report.h. What the kernel does not tell is left out, which reads as zero. */
#include "node/report.h"

#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>

#include "base/clock.h"
#include "node/peer.h"
#include "node/sampler.h"

enum {
    FILE_MAX = 64 << 10, /* of a /proc file that is read */
    WORD_SIZE = 128,
};

struct reporter {
    struct node *node;
    struct timer timer;
    char family[WORD_SIZE], model[WORD_SIZE], model_name[WORD_SIZE];
    char mount_point[256], device[256], fs_type[64];
    struct utsname system;
    uint64_t busy, total; /* of /proc/stat, at the last report */
    uint32_t cpu_count;
    uint32_t cpu_permille;
};

static struct str read_file(const char *path, char out[FILE_MAX])
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n;

    while (fd >= 0 && len < FILE_MAX && (n = read(fd, out + len, FILE_MAX - len)) > 0)
        len += (size_t)n;
    return (struct str){out, len};
}

/* The value of the first line that begins with `key`, a colon between them. */
static struct str value_of(struct str text, const char *key)
{
    while (text.len > 0) {
        struct str value, name = str_cut(str_cut(text, '\n', &text), ':', &value);

        if (str_is(str_trim(name), key))
            return str_trim(value);
    }
    return (struct str){0};
}

static void keep(char *to, size_t size, struct str text)
{
    ignore(str_to_c(str_upto(text, size - 1), to, size)); /* stays empty with a NUL in it */
}

static void read_processor(struct reporter *r, char *space)
{
    struct str text = read_file("/proc/cpuinfo", space);

    keep(r->family, sizeof(r->family), value_of(text, "cpu family"));
    keep(r->model, sizeof(r->model), value_of(text, "model"));
    keep(r->model_name, sizeof(r->model_name), value_of(text, "model name"));
    r->cpu_count = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
}

/* The longest mount point that the path begins with. */
static void find_mount(struct reporter *r, const char *path)
{
    FILE *mounts = setmntent("/proc/self/mounts", "r");
    size_t best = 0;
    const struct mntent *m;

    while (mounts != NULL && (m = getmntent(mounts)) != NULL) {
        size_t len = strlen(m->mnt_dir);
        bool is_above = str_has_prefix(str_of(path), m->mnt_dir) &&
                        (len == 1 || path[len] == '/' || path[len] == '\0');

        if (!is_above || len < best)
            continue;
        best = len;
        keep(r->mount_point, sizeof(r->mount_point), str_of(m->mnt_dir));
        keep(r->device, sizeof(r->device), str_of(m->mnt_fsname));
        keep(r->fs_type, sizeof(r->fs_type), str_of(m->mnt_type));
    }
    if (mounts != NULL)
        ignore(endmntent(mounts)); /* always 1 */
}

/* "cpu  user nice system idle iowait irq softirq steal …" in ticks. */
static void read_load(struct reporter *r, char *space)
{
    struct str rest, line = str_cut(read_file("/proc/stat", space), '\n', &rest);
    uint64_t total = 0, idle = 0, value;
    size_t column = 0;

    ignore(str_cut(line, ' ', &line).len); /* "cpu" */
    while (line.len > 0 && column < 8) {
        if (!str_to_u64(str_cut(line, ' ', &line), &value))
            continue; /* two blanks */
        total += value;
        if (column == 3 || column == 4)
            idle += value;
        column++;
    }
    if (total > r->total && r->total > 0) {
        uint64_t busy = total - idle - r->busy, all = total - r->total;

        r->cpu_permille = busy > all ? 1000 : (uint32_t)(busy * 1000 / all);
    }
    r->busy = total - idle;
    r->total = total;
}

static uint64_t number_of(struct str text, const char *key)
{
    struct str unit, word = str_cut(value_of(text, key), ' ', &unit);
    uint64_t value = 0;

    ignore(str_to_u64(word, &value)); /* 0 when it is not there */
    return str_is(unit, "kB") ? value << 10 : value;
}

static void count_paused(void *ctx, const char *id, enum runtime_state state)
{
    struct node_report *m = ctx;

    ignore(id[0]);
    m->paused += state == RUNTIME_PAUSED;
}

static void count_snapshot(void *ctx, const char *name)
{
    struct node_report *m = ctx;

    ignore(name[0]);
    m->snapshots++;
}

/* What lasts: counted now and then, so it may walk all of it. */
static void fill_lasting(const struct node *n, struct node_report *m)
{
    struct runtime_capabilities can;

    runtime_capabilities(n->runtime, &can);
    m->pauses = n->works[RUNTIME_PAUSE];
    m->resumes = n->works[RUNTIME_RESUME];
    m->snapshots_made = n->works[RUNTIME_SNAPSHOT];
    m->pause_failures = n->work_failures[RUNTIME_PAUSE];
    m->resume_failures = n->work_failures[RUNTIME_RESUME];
    m->snapshot_failures = n->work_failures[RUNTIME_SNAPSHOT];
    m->can_snapshot_files = can.can_snapshot_files;
    m->can_checkpoint = can.can_checkpoint;
    m->lasting_note = str_of(can.reason);
    runtime_each(n->runtime, count_paused, m);
    runtime_each_snapshot(n->runtime, count_snapshot, m);
}

static void fill(struct reporter *r, struct node_report *m, char *space)
{
    const struct node *n = r->node;
    struct str memory = read_file("/proc/meminfo", space);
    struct statvfs disk;

    *m = (struct node_report){
        .started_at_ms = n->started_at_ms,
        .sandboxes = runtime_count(n->runtime),
        .starting = n->starting,
        .starts = n->starts,
        .start_failures = n->start_failures,
        .stops = n->stops,
        .dials = n->dials,
        .samples = sampler_count(n->sampler),
        .cpu_count = r->cpu_count,
        .cpu_permille = r->cpu_permille,
        .memory_total = number_of(memory, "MemTotal"),
        .huge_total = number_of(memory, "HugePages_Total"),
        .huge_reserved = number_of(memory, "HugePages_Rsvd"),
        .huge_size = number_of(memory, "Hugepagesize"),
        .cpu_family = str_of(r->family),
        .cpu_model = str_of(r->model),
        .cpu_model_name = str_of(r->model_name),
        .cpu_architecture = str_of(r->system.machine),
        .mount_point = str_of(r->mount_point),
        .device = str_of(r->device),
        .fs_type = str_of(r->fs_type),
        .host = str_of(r->system.nodename),
    };
    fill_lasting(n, m);
    m->memory_used = m->memory_total - number_of(memory, "MemAvailable");
    m->huge_used = m->huge_total - number_of(memory, "HugePages_Free");
    if (statvfs(n->config.runtime.data_dir, &disk) == 0) {
        m->disk_total = (uint64_t)disk.f_blocks * disk.f_frsize;
        m->disk_used = m->disk_total - (uint64_t)disk.f_bfree * disk.f_frsize;
    }
}

void reporter_tell(struct reporter *r, struct peer *p)
{
    auto_free char *space = mem_zero(FILE_MAX);
    struct node_report m;

    fill(r, &m, space);
    ignore(peer_send(p, NODE_REPORT, &m, -1));
}

static void on_timer(void *ctx)
{
    struct reporter *r = ctx;
    struct list *peers = &r->node->command.peers;
    auto_free char *space = mem_zero(FILE_MAX);
    struct list_node *next;
    struct node_report m;

    timer_start(r->node->loop, &r->timer, REPORT_MS, on_timer, r);
    read_load(r, space);
    fill(r, &m, space);
    for (struct list_node *i = list_first(peers); i != NULL; i = next) {
        next = list_next(peers, i);
        ignore(peer_send(container_of(i, struct peer, node), NODE_REPORT, &m, -1));
    }
}

struct reporter *reporter_new(struct node *n)
{
    struct reporter *r = mem_zero(sizeof(*r));
    auto_free char *space = mem_zero(FILE_MAX);

    r->node = n;
    read_processor(r, space);
    find_mount(r, n->config.runtime.data_dir);
    ignore(uname(&r->system)); /* cannot fail with a good pointer */
    read_load(r, space);
    timer_start(n->loop, &r->timer, REPORT_MS, on_timer, r);
    return r;
}

void reporter_free(struct reporter *r)
{
    if (r == NULL)
        return;
    timer_stop(&r->timer);
    free(r);
}

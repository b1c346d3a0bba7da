/* SPDX-License-Identifier: Apache-2.0 */
/* What a launch costs: time from spec to envd's first answer one by one, the rate of start and stop
 * with all creators busy, and the memory of idle sandboxes. Prints JSON. Needs root.
 *
 *   launch_bench ROOTFS ENVD [launches] [idle] [config=value …] */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "base/clock.h"
#include "runtime/runtime.h"

enum {
    LAUNCHES = 500,
    IDLE = 200,
    WARM_UP = 20,
    IN_FLIGHT = 8,
    SETTLE_US = 500000,
    ID_SIZE = 32,
};

static const char init_text[] = "{\"envVars\":{\"A\":\"1\"},\"defaultUser\":\"root\"}";

struct bench {
    struct loop *loop;
    struct runtime *runtime;
    const char *rootfs;
    size_t wanted, begun, started, stopped, failed;
    size_t in_flight_max;
    bool keeps; /* do not stop what was started */
    uint64_t *took_us;
};

static void begin_more(struct bench *b);

static void on_stopped(void *ctx, const char *id, const struct err *err)
{
    struct bench *b = ctx;

    if (err != NULL)
        fprintf(stderr, "stop %s: %s\n", id, err->text);
    b->stopped++;
    begin_more(b);
}

static void on_started(void *ctx, const char *id, uint64_t took_us, const struct err *err)
{
    struct bench *b = ctx;

    if (err != NULL) {
        fprintf(stderr, "%s\n", err->text);
        b->failed++;
        b->stopped++;
        begin_more(b);
        return;
    }
    b->took_us[b->started++] = took_us;
    if (b->keeps) {
        b->stopped++;
        begin_more(b);
        return;
    }
    runtime_stop(b->runtime, id, on_stopped, b);
}

static void begin_more(struct bench *b)
{
    char id[ID_SIZE];

    if (b->stopped == b->wanted)
        loop_stop(b->loop);
    while (b->begun < b->wanted && b->begun - b->stopped < b->in_flight_max) {
        struct sandbox_spec spec = {
            .id = id,
            .rootfs = b->rootfs,
            .hostname = "sandbox",
            .limits = {512 << 20,          100, 512, (uint64_t)1 << 30},
            .init = {init_text, sizeof(init_text) - 1   },
        };

        snprintf(id, sizeof(id), "b%zu%s", b->begun++, b->keeps ? "k" : "");
        runtime_start(b->runtime, &spec, on_started, b);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static void run(struct bench *b, size_t count, size_t in_flight, bool keeps)
{
    struct err err = {0};

    free(b->took_us);
    b->took_us = calloc(count, sizeof(*b->took_us));
    b->wanted = count;
    b->begun = b->started = b->stopped = 0;
    b->in_flight_max = in_flight;
    b->keeps = keeps;
    begin_more(b);
    if (loop_run(b->loop, &err) != 0)
        fprintf(stderr, "%s\n", err.text);
    qsort(b->took_us, b->started, sizeof(*b->took_us), compare);
}

static uint64_t percentile(const struct bench *b, size_t p)
{
    return b->started == 0 ? 0 : b->took_us[(b->started - 1) * p / 100];
}

static long memory_available_kib(void)
{
    char line[128];
    long kib = 0;
    FILE *f = fopen("/proc/meminfo", "r");

    while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
        if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
            break;
    }
    if (f != NULL)
        fclose(f);
    return kib;
}

static void on_exit_unasked(void *ctx, const char *id, enum exit_reason reason)
{
    (void)ctx;
    fprintf(stderr, "%s ended by itself (%d)\n", id, reason);
}

static void stop_kept(void *ctx, const char *id, enum runtime_state state)
{
    struct bench *b = ctx;

    (void)state;
    b->wanted++;
    b->begun++;
    runtime_stop(b->runtime, id, on_stopped, b);
}

static bool set_config(struct runtime_config *c, const char *text)
{
    static const struct {
        const char *key;
        size_t offset;
    } keys[] = {
        {"cgroup=",   offsetof(struct runtime_config, cgroup)  },
        {"userns=",   offsetof(struct runtime_config, userns)  },
        {"idmap=",    offsetof(struct runtime_config, idmap)   },
        {"overlay=",  offsetof(struct runtime_config, overlay) },
        {"seccomp=",  offsetof(struct runtime_config, seccomp) },
        {"egress=",   offsetof(struct runtime_config, egress)  },
        {"data_dir=", offsetof(struct runtime_config, data_dir)},
    };

    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        size_t len = strlen(keys[i].key);

        if (strncmp(text, keys[i].key, len) == 0) {
            *(const char **)(void *)((char *)c + keys[i].offset) = text + len;
            return true;
        }
    }
    return false;
}

static void report(const struct bench *b, const char *name)
{
    printf("  \"%s\": {\"n\": %zu, \"p50_us\": %llu, \"p90_us\": %llu, \"p99_us\": %llu}", name,
           b->started, (unsigned long long)percentile(b, 50), (unsigned long long)percentile(b, 90),
           (unsigned long long)percentile(b, 99));
}

static void report_all(const struct bench *b, const char *name)
{
    printf(",\n  \"%s\": [", name);
    for (size_t i = 0; i < b->started; i++)
        printf("%s%llu", i == 0 ? "" : ", ", (unsigned long long)b->took_us[i]);
    printf("]");
}

static void measure(struct bench *b, size_t launches, size_t idle)
{
    struct utsname host;
    uint64_t begin;
    double rate, kib;

    uname(&host);
    run(b, WARM_UP, 1, false);
    usleep(SETTLE_US);
    run(b, launches, 1, false);
    printf("{\n  \"kernel\": \"%s\", \"cores\": %d,\n", host.release, get_nprocs());
    report(b, "launch_sequential");
    report_all(b, "launch_us");
    begin = clock_mono_us();
    run(b, launches * 2, IN_FLIGHT, false);
    rate = (double)(launches * 2) * 1e6 / (double)(clock_mono_us() - begin);
    printf(",\n");
    report(b, "launch_8_at_once");
    printf(",\n  \"start_stop_per_s\": %.1f", rate);
    usleep(SETTLE_US);
    kib = (double)memory_available_kib();
    run(b, idle, 2, true);
    usleep(SETTLE_US);
    kib -= (double)memory_available_kib();
    printf(",\n  \"idle_sandbox_kib\": %.1f, \"idle_n\": %zu, \"failed\": %zu\n}\n",
           idle == 0 ? 0 : kib / (double)idle, idle, b->failed);
    b->wanted = b->begun = b->stopped = 0;
    runtime_each(b->runtime, stop_kept, b);
    if (b->wanted > 0) {
        struct err err = {0};

        if (loop_run(b->loop, &err) != 0)
            fprintf(stderr, "%s\n", err.text);
    }
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

int main(int argc, char **argv)
{
    char run_dir[] = "/tmp/launch-bench-XXXXXX";
    struct bench b = {0};
    struct err err = {0};
    struct runtime_config config = {
        .driver = "linux",
        .data_dir = run_dir,
        .run_dir = run_dir,
        .cgroup = "auto",
        .userns = "auto",
        .idmap = "auto",
        .overlay = "auto",
        .seccomp = "auto",
        .egress = "auto",
        .pool_size = 16,
        .uid_base = 300000,
        .sandboxes_max = 2000,
        .criu = "off", /* nothing is paused */
        .on_uncheckpointable = "fail",
    };
    size_t numbers[2] = {LAUNCHES, IDLE}, given = 0;

    if (argc < 3 || mkdtemp(run_dir) == NULL) {
        fprintf(stderr, "usage: launch_bench ROOTFS ENVD [launches] [idle] [config=value]\n");
        return 2;
    }
    b.rootfs = argv[1];
    config.envd_path = argv[2];
    for (int i = 3; i < argc; i++) {
        if (!set_config(&config, argv[i]) && given < 2)
            numbers[given++] = strtoul(argv[i], NULL, 10);
    }
    if (loop_new(&b.loop, &err) != 0 ||
        runtime_new(b.loop, &config, on_exit_unasked, NULL, &b.runtime, &err) != 0) {
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    measure(&b, numbers[0], numbers[1]);
    runtime_free(b.runtime);
    loop_free(b.loop);
    free(b.took_us);
    if (nftw(run_dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) != 0)
        fprintf(stderr, "left: %s\n", run_dir);
    return b.failed > 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* runtime/linux/cgroup*.c against directories that stand in for the hierarchies: what is found,
 * what is written where, what is read. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runtime/linux/cgroup.h"
#include "test.h"

enum {
    PATH_SIZE = 512,
    TEXT_SIZE = 512,
    OPEN_DIRS = 16,
};

static char top[] = "/tmp/test-cgroup-XXXXXX";
static char dir[PATH_SIZE]; /* of the present case */
static unsigned cases;

static const char *path_of(const char *name)
{
    static char path[PATH_SIZE * 2];

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(path_of(name), "w");

    CHECK(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void make(const char *name)
{
    CHECK(mkdir(path_of(name), 0755) == 0);
}

static const char *get(const char *name)
{
    static char text[TEXT_SIZE];
    FILE *f = fopen(path_of(name), "r");
    size_t len;

    if (f == NULL)
        return "(none)";
    len = fread(text, 1, sizeof(text) - 1, f);
    text[len] = '\0';
    fclose(f);
    return text;
}

static void begin(void)
{
    snprintf(dir, sizeof(dir), "%s/%u", top, cases++);
    CHECK(mkdir(dir, 0755) == 0);
}

static int open_groups(struct cgroups *g, const char *mode, struct err *err)
{
    char mountinfo[PATH_SIZE * 2], own[PATH_SIZE * 2], before[PATH_SIZE * 2];
    struct cgroup_source source = {mountinfo, own, before, "sandlot"};

    snprintf(mountinfo, sizeof(mountinfo), "%s", path_of("mountinfo"));
    snprintf(own, sizeof(own), "%s", path_of("own"));
    snprintf(before, sizeof(before), "%s", path_of("before"));
    return cgroups_open(g, &source, mode, err);
}

static void put_mounts(const char *format)
{
    char text[TEXT_SIZE * 4] = "";
    const char *at = format;
    size_t len = 0;

    for (; *at != '\0'; at++) {
        if (*at == '@')
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", dir);
        else
            text[len++] = *at;
    }
    text[len] = '\0';
    put("mountinfo", text);
}

/* A v2 host: all controllers at the root, our parent group with the files a kernel would make. */
static void make_v2(void)
{
    begin();
    make("v2");
    put("v2/cgroup.controllers", "cpuset cpu io memory pids\n");
    put("v2/cgroup.subtree_control", "");
    make("v2/sandlot");
    put("v2/sandlot/cgroup.subtree_control", "");
    put("v2/sandlot/cgroup.kill", "");
    put_mounts("31 23 0:28 / @/v2 rw - cgroup2 cgroup2 rw,nsdelegate\n");
    put("own", "0::/\n");
}

static void make_group_files(void)
{
    static const char *const names[] = {"memory.max", "memory.swap.max", "cpu.max",
                                        "pids.max",   "cgroup.procs",    "cgroup.kill"};
    char path[PATH_SIZE];

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        snprintf(path, sizeof(path), "v2/sandlot/box/%s", names[i]);
        put(path, "");
    }
}

static void v2_limits(void)
{
    const struct sandbox_limits limits = {512 << 20, 150, 64, 0};
    struct cgroups g;
    struct err err = {0};
    int fd = -1;

    make_v2();
    CHECK(open_groups(&g, "auto", &err) == 0);
    CHECK(cgroup_version(&g, CGROUP_MEMORY) == 2 && cgroup_version(&g, CGROUP_CPU) == 2);
    CHECK(cgroup_version(&g, CGROUP_PIDS) == 2 && g.has_kill && g.is_fast);
    CHECK(cgroup_create(&g, "box", &err) == 0);
    make_group_files();
    CHECK(cgroup_limit(&g, "box", &limits, &err) == 0);
    CHECK(strcmp(get("v2/sandlot/box/memory.max"), "536870912") == 0);
    CHECK(strcmp(get("v2/sandlot/box/memory.swap.max"), "0") == 0);
    CHECK(strcmp(get("v2/sandlot/box/cpu.max"), "150000 100000") == 0);
    CHECK(strcmp(get("v2/sandlot/box/pids.max"), "64") == 0);
    CHECK(cgroup_attach(&g, "box", 42, true, &err) == 0);
    CHECK(strcmp(get("v2/sandlot/box/cgroup.procs"), "") == 0); /* it was born there */
    CHECK(cgroup_attach(&g, "box", 42, false, &err) == 0);
    CHECK(strcmp(get("v2/sandlot/box/cgroup.procs"), "42") == 0);
    cgroup_kill(&g, "box");
    CHECK(strcmp(get("v2/sandlot/box/cgroup.kill"), "1") == 0);
    CHECK(cgroup_unified_open(&g, "box", &fd, &err) == 0 && fd >= 0);
    own_close_fd(&fd);
    cgroups_close(&g);
}

static void v2_without_swap_accounting(void)
{
    const struct sandbox_limits limits = {.memory_bytes = 1 << 20};
    struct cgroups g;
    struct err err = {0};

    make_v2();
    CHECK(open_groups(&g, "v2", &err) == 0);
    CHECK(cgroup_create(&g, "box", &err) == 0);
    put("v2/sandlot/box/memory.max", "");
    CHECK(cgroup_limit(&g, "box", &limits, &err) == 0);
    CHECK(strcmp(get("v2/sandlot/box/memory.max"), "1048576") == 0);
    cgroups_close(&g);
}

static void v2_numbers(void)
{
    struct sandbox_stats stats;
    struct cgroups g;
    struct err err = {0};

    make_v2();
    CHECK(open_groups(&g, "auto", &err) == 0);
    CHECK(cgroup_create(&g, "box", &err) == 0);
    put("v2/sandlot/box/cpu.stat", "usage_usec 12345\nuser_usec 1\n");
    put("v2/sandlot/box/memory.current", "4096000\n");
    put("v2/sandlot/box/memory.stat", "anon 1\nfile 2048\nkernel 3\n");
    put("v2/sandlot/box/memory.events", "low 0\noom 2\noom_kill 3\n");
    put("v2/sandlot/box/pids.current", "7\n");
    cgroup_stats(&g, "box", &stats);
    CHECK(stats.cpu_us == 12345 && stats.memory_bytes == 4096000);
    CHECK(stats.memory_cache_bytes == 2048 && stats.pids == 7);
    CHECK(cgroup_oom_kills(&g, "box") == 3);
    cgroup_stats(&g, "gone", &stats);
    CHECK(stats.cpu_us == 0 && stats.pids == 0 && cgroup_oom_kills(&g, "gone") == 0);
    cgroups_close(&g);
}

/* In a container the mounted root holds processes: they move to a leaf, then it may hand down. */
static void v2_in_a_container(void)
{
    struct cgroups g;
    struct err err = {0};

    begin();
    make("v2");
    make("v2/sandlot-host");
    put("v2/sandlot-host/cgroup.procs", "");
    put("v2/cgroup.controllers", "memory pids\n");
    put("v2/cgroup.type", "domain\n");
    put("v2/cgroup.procs", "17\n");
    put_mounts("31 23 0:28 /docker/abc @/v2 rw - cgroup2 cgroup2 rw\n");
    put("own", "0::/docker/abc\n");
    CHECK(open_groups(&g, "auto", &err) == 0); /* no subtree_control: like a refusal */
    CHECK(strcmp(get("v2/sandlot-host/cgroup.procs"), "17") == 0);
    CHECK(g.unified >= 0 && cgroup_version(&g, CGROUP_MEMORY) == 0);
    cgroups_close(&g);
}

static void make_hybrid(void)
{
    begin();
    make("memory");
    make("memory/us");
    make("cpu,cpuacct");
    make("pids");
    make("unified");
    put("unified/cgroup.controllers", "hugetlb\n");
    put_mounts("31 23 0:28 / @/unified rw - cgroup2 cgroup2 rw,favordynmods\n"
               "32 23 0:29 / @/memory rw - cgroup cgroup rw,memory\n"
               "33 23 0:30 / @/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
               "34 23 0:31 / @/pids rw - cgroup cgroup rw,pids\n"
               "35 23 0:32 / @/nowhere rw - cgroup cgroup rw,freezer\n");
    put("own", "9:name=systemd:/\n4:memory:/us\n3:cpu,cpuacct:/\n2:pids:/\n0::/\n");
}

static void hybrid_takes_limits_from_v1(void)
{
    const struct sandbox_limits limits = {1 << 30, 50, 10, 0};
    struct cgroups g;
    struct err err = {0};

    make_hybrid();
    CHECK(open_groups(&g, "auto", &err) == 0);
    CHECK(g.dir_count == 4 && g.unified == 0 && g.is_fast);
    CHECK(cgroup_version(&g, CGROUP_MEMORY) == 1 && cgroup_version(&g, CGROUP_CPUACCT) == 0);
    CHECK(cgroup_create(&g, "box", &err) == 0);
    put("memory/us/sandlot/box/memory.limit_in_bytes", "");
    put("memory/us/sandlot/box/memory.memsw.limit_in_bytes", "");
    put("cpu,cpuacct/sandlot/box/cpu.cfs_quota_us", "");
    put("pids/sandlot/box/pids.max", "");
    CHECK(cgroup_limit(&g, "box", &limits, &err) == 0);
    CHECK(strcmp(get("memory/us/sandlot/box/memory.limit_in_bytes"), "1073741824") == 0);
    CHECK(strcmp(get("memory/us/sandlot/box/memory.memsw.limit_in_bytes"), "1073741824") == 0);
    CHECK(strcmp(get("cpu,cpuacct/sandlot/box/cpu.cfs_quota_us"), "50000") == 0);
    CHECK(strcmp(get("pids/sandlot/box/pids.max"), "10") == 0);
    put("memory/us/sandlot/box/memory.oom_control", "oom_kill_disable 0\noom_kill 1\n");
    CHECK(cgroup_oom_kills(&g, "box") == 1);
    cgroups_close(&g);
}

/* A process that is restarted from elsewhere finds what it left. */
static void stays_where_it_began(void)
{
    struct cgroups g;
    struct err err = {0};

    make_hybrid();
    CHECK(open_groups(&g, "auto", &err) == 0 && cgroup_create(&g, "box", &err) == 0);
    cgroups_close(&g);
    put("own", "4:memory:/\n3:cpu,cpuacct:/\n2:pids:/\n0::/\n");
    CHECK(open_groups(&g, "auto", &err) == 0);
    CHECK(cgroup_destroy(&g, "box", &err) == 0);
    CHECK(access(path_of("memory/us/sandlot/box"), F_OK) != 0);
    cgroups_close(&g);
    CHECK(access(path_of("memory/us/sandlot"), F_OK) != 0); /* empty: it is gone */
    CHECK(open_groups(&g, "auto", &err) == 0);              /* then we are where we are */
    CHECK(access(path_of("memory/sandlot"), F_OK) == 0);
    cgroups_close(&g);
}

static void v1_alone_counts_time_itself(void)
{
    struct sandbox_stats stats;
    struct cgroups g;
    struct err err = {0};

    make_hybrid();
    CHECK(open_groups(&g, "v1", &err) == 0);
    CHECK(g.unified == -1 && g.dir_count == 3 && !g.has_kill);
    CHECK(cgroup_version(&g, CGROUP_CPUACCT) == 1);
    CHECK(g.place[CGROUP_CPU] == g.place[CGROUP_CPUACCT]); /* one hierarchy, one group */
    CHECK(cgroup_create(&g, "box", &err) == 0);
    put("cpu,cpuacct/sandlot/box/cpuacct.usage", "5000000\n");
    cgroup_stats(&g, "box", &stats);
    CHECK(stats.cpu_us == 5000);
    cgroups_close(&g);
}

static void none_is_none(void)
{
    const struct sandbox_limits limits = {1 << 30, 50, 10, 0};
    struct cgroups g;
    struct err err = {0};
    int fd = 5;

    make_hybrid();
    CHECK(open_groups(&g, "none", &err) == 0 && g.dir_count == 0);
    CHECK(cgroup_create(&g, "box", &err) == 0 && cgroup_limit(&g, "box", &limits, &err) == 0);
    CHECK(cgroup_unified_open(&g, "box", &fd, &err) == 0 && fd == -1);
    CHECK(cgroup_destroy(&g, "box", &err) == 0);
    cgroup_kill(&g, "box");
    cgroups_close(&g);
}

struct seen {
    size_t count;
};

static void see(void *ctx, const char *name)
{
    struct seen *s = ctx;

    CHECK(strcmp(name, "x-1") == 0 || strcmp(name, "x-2") == 0);
    s->count++;
}

static void lists_and_removes(void)
{
    struct seen s = {0};
    struct cgroups g;
    struct err err = {0};

    make_v2();
    CHECK(open_groups(&g, "auto", &err) == 0);
    CHECK(cgroup_create(&g, "x-1", &err) == 0 && cgroup_create(&g, "x-2", &err) == 0);
    CHECK(cgroup_create(&g, "y-1", &err) == 0);
    CHECK(cgroup_create(&g, "x-1", &err) == -1 && err.kind == ERR_EXISTS);
    cgroup_each(&g, "x-", see, &s);
    CHECK(s.count == 2);
    CHECK(cgroup_destroy(&g, "x-1", &err) == 0);
    CHECK(cgroup_destroy(&g, "x-1", &err) == 0); /* gone is gone */
    cgroups_close(&g);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"v2: limits",                  v2_limits                  },
        {"v2: without swap accounting", v2_without_swap_accounting },
        {"v2: numbers",                 v2_numbers                 },
        {"v2: in a container",          v2_in_a_container          },
        {"hybrid: limits come from v1", hybrid_takes_limits_from_v1},
        {"stays where it began",        stays_where_it_began       },
        {"v1 alone counts time itself", v1_alone_counts_time_itself},
        {"none is none",                none_is_none               },
        {"lists and removes",           lists_and_removes          },
    };
    int result;

    if (mkdtemp(top) == NULL)
        return 2;
    result = test_main(tests, COUNT_OF(tests), argc, argv);
    nftw(top, remove_one, OPEN_DIRS, FTW_DEPTH | FTW_PHYS);
    return result;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Finds out what the kernel can do by doing it, on a thread that can be thrown away: the probe
 * needs a private mount namespace like a creator's. */
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "runtime/linux/enter.h"
#include "runtime/linux/files.h"
#include "runtime/linux/host.h"
#include "runtime/linux/idmap.h"
#include "runtime/linux/mounts.h"
#include "runtime/linux/netns.h"
#include "runtime/linux/overlay.h"
#include "runtime/linux/raw.h"
#include "runtime/linux/thread.h"

enum {
    PATH_SIZE = 1400,
    IDLE_STACK_SIZE = 16 << 10,
};

static const char probe_name[] = ".probe";

struct probe {
    struct host *host;
    const struct runtime_config *config;
    const struct probe_place *place;
    int dir_fd, userns_fd;
    int result;
    struct err err;
};

/* Does clone3 accept these flags? */
static bool can_clone(uint64_t flags, int cgroup_fd)
{
    int pidfd = -1;
    siginfo_t gone;
    void *stack =
        mmap(NULL, IDLE_STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct clone_args args = {
        .flags = CLONE_VM | CLONE_FILES | CLONE_PIDFD | flags,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
        .stack = (uint64_t)(uintptr_t)stack,
        .stack_size = IDLE_STACK_SIZE,
        .cgroup = cgroup_fd < 0 ? 0 : (uint64_t)cgroup_fd,
    };
    long pid;

    if (stack == MAP_FAILED)
        return false;
    pid = raw_clone3(&args, enter_idle, NULL);
    if (pid > 0) {
        ignore(pidfd_send_signal(pidfd, SIGKILL, NULL, 0));
        while (waitid(P_PIDFD, (id_t)pidfd, &gone, WEXITED | __WALL) != 0 && errno == EINTR) {
        }
        own_close_fd(&pidfd);
    }
    ignore(munmap(stack, IDLE_STACK_SIZE));
    return pid > 0;
}

bool host_can_clone_into(int cgroup_fd)
{
    return can_clone(CLONE_INTO_CGROUP, cgroup_fd);
}

/* With every option a sandbox's overlay has, on the file system that will hold them. */
static bool can_overlay(struct probe *p, bool has_idmap, bool has_layer_fds, struct err *err)
{
    char dir[PATH_SIZE], lower[PATH_SIZE + 2];
    struct overlay_spec spec = {
        .rootfs = lower,
        .dir = dir,
        .userns_fd = has_idmap ? p->userns_fd : -1,
        .uid = p->place->uid_base,
        .by_path = !has_layer_fds,
    };
    int fd = -1, files;
    bool is_good;
    struct err ignored;

    ignore(snprintf(dir, sizeof(dir), "%s/%s", p->place->files_dir, probe_name));
    ignore(snprintf(lower, sizeof(lower), "%s/l", dir));
    if (dir_open(AT_FDCWD, p->place->files_dir, &files, err) != 0)
        return false;
    ignore(tree_remove(files, probe_name, &ignored)); /* of an earlier process */
    if (mkdirat(files, probe_name, 0700) == 0 && mkdirat(files, ".probe/l", 0755) == 0 &&
        mkdirat(files, ".probe/u", 0755) == 0 && mkdirat(files, ".probe/w", 0755) == 0)
        is_good = overlay_make(&spec, &fd, err) == 0;
    else
        is_good = err_sys(err, errno, "make a directory in %s", p->place->files_dir) == 0;
    own_close_fd(&fd);
    ignore(tree_remove(files, probe_name, &ignored));
    own_close_fd(&files);
    return is_good;
}

/* The best of the four ways that works. */
static int probe_overlay(struct probe *p)
{
    struct host *h = p->host;
    bool may_map = h->has_userns && strcmp(p->config->idmap, "off") != 0 && p->userns_fd >= 0;
    bool may_fds = strcmp(p->config->overlay, "path") != 0;

    for (int way = 3; way >= 0; way--) {
        bool has_idmap = (way & 2) != 0, has_fds = (way & 1) != 0;

        if ((has_idmap && !may_map) || (has_fds && !may_fds))
            continue;
        p->err = (struct err){0};
        if (!can_overlay(p, has_idmap, has_fds, &p->err))
            continue;
        h->has_idmap = has_idmap;
        h->has_layer_fds = has_fds;
        return 0;
    }
    return err_wrap(&p->err, "no kind of overlay works here");
}

/* By doing it. Without it sandboxes start all the same, and nothing leaves them. */
static bool probe_outward(struct probe *p)
{
    struct netns made = netns_none;
    bool is_good;
    struct netns_wish wish = {.is_outward = true};
    auto_fd int host_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);

    if (strcmp(p->config->egress, "off") == 0)
        return false;
    wish.host_fd = host_fd;
    is_good = host_fd >= 0 && netns_make(&wish, &made, &p->host->outward_err) == 0;
    if (!is_good)
        ignore(err_wrap(&p->host->outward_err,
                        "sandboxes reach nothing outside; nf_tables, nft_tproxy, nft_log and "
                        "nfnetlink_log are needed"));
    netns_done(&made);
    return is_good;
}

static void *probe_main(void *ctx)
{
    struct probe *p = ctx;
    struct host *h = p->host;

    if (strcmp(p->config->userns, "off") != 0 &&
        userns_open(p->place->uid_base, &p->userns_fd, &p->err) == 0)
        h->has_userns = true;
    else
        p->userns_fd = -1;
    /* asked together with a user namespace when there is one, as in a launch */
    h->has_timens = can_clone(CLONE_NEWTIME | (h->has_userns ? CLONE_NEWUSER : 0), -1);
    h->has_seccomp =
        strcmp(p->config->seccomp, "off") != 0 &&
        syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &(uint32_t){SECCOMP_RET_ERRNO}) == 0;
    h->has_outward = probe_outward(p);
    p->result = mounts_private(p->place->stage, p->place->data_dir, &p->err);
    if (p->result == 0)
        p->result = probe_overlay(p);
    own_close_fd(&p->userns_fd);
    return NULL;
}

int host_probe(struct host *h, const struct runtime_config *config, const struct probe_place *place,
               struct err *err)
{
    struct probe p = {.host = h, .config = config, .place = place, .userns_fd = -1};
    pthread_t thread;

    *h = (struct host){0};
    if (thread_start(&thread, probe_main, &p, err) != 0)
        return -1;
    pthread_join(thread, NULL);
    if (p.result != 0)
        *err = p.err;
    return p.result;
}

static void row(struct host *h, struct runtime_feature feature)
{
    if (h->feature_count < FEATURES_MAX)
        h->features[h->feature_count++] = feature;
}

/* A feature with one switch: on, forced off, or absent with advice. */
static void row_switch(struct host *h, const char *name, bool has_it, bool is_forced_off,
                       const char *note)
{
    const char *path = has_it ? "on" : is_forced_off ? "off (forced)" : "absent";

    row(h, (struct runtime_feature){name, path, has_it ? "" : note, has_it});
}

/* Layers are mapped only where a user namespace gives the map. */
static void describe_idmap(struct host *h, const struct runtime_config *config)
{
    if (!h->has_userns)
        row(h, (struct runtime_feature){"id-mapped mounts", "not needed", "", true});
    else
        row_switch(h, "id-mapped mounts", h->has_idmap, strcmp(config->idmap, "off") == 0,
                   "sandboxes share one range of user ids and templates are copied once: use "
                   "Linux 5.19 or later with ext4, xfs or btrfs");
}

static void describe_limit(struct host *h, const struct cgroups *g, enum cgroup_controller c,
                           const char *name)
{
    static const char *const paths[] = {"absent", "cgroup v1", "cgroup v2"};
    int version = cgroup_version(g, c);

    row(h, (struct runtime_feature){name, paths[version],
                                    version != 0 ? ""
                                                 : "the limit is not applied: mount the cgroup "
                                                   "controller, or delegate it to this service",
                                    version != 0});
}

void host_describe(struct host *h, const struct runtime_config *config, const struct cgroups *g)
{
    bool is_path_forced = strcmp(config->overlay, "path") == 0;

    h->feature_count = 0;
    row_switch(h, "user namespaces", h->has_userns, strcmp(config->userns, "off") == 0,
               "root inside is root of the host, held only by capabilities and seccomp: raise "
               "user.max_user_namespaces, or do not run code you do not trust");
    describe_idmap(h, config);
    row(h, (struct runtime_feature){"overlay layers",
                                    h->has_layer_fds ? "by descriptor"
                                    : is_path_forced ? "by path (forced)"
                                                     : "by path",
                                    "", true});
    row_switch(h, "time namespaces", h->has_timens, false,
               "sandboxes see the host's uptime: use Linux 6.1 or later");
    row_switch(h, "system call filter", h->has_seccomp, strcmp(config->seccomp, "off") == 0,
               "sandboxes may call anything in the kernel: build it with CONFIG_SECCOMP_FILTER");
    row_switch(h, "network out", h->has_outward, strcmp(config->egress, "off") == 0,
               h->outward_err.text);
    describe_limit(h, g, CGROUP_MEMORY, "memory limit");
    describe_limit(h, g, CGROUP_CPU, "cpu limit");
    describe_limit(h, g, CGROUP_PIDS, "process limit");
    row(h, (struct runtime_feature){"start inside the cgroup",
                                    h->has_clone_into ? "clone3" : "moved afterwards", "", true});
    row(h, (struct runtime_feature){
               "fast cgroup moves", g->is_fast ? "on" : "absent",
               g->is_fast ? ""
                          : "launches wait up to 15 ms on an idle machine: mount cgroup2 with "
                            "favordynmods",
               g->is_fast});
    row(h, (struct runtime_feature){"sandboxes started ahead",
                                    config->warm_size > 0 && config->warm_max > 0 ? "on" : "off",
                                    "", true});
    row(h, (struct runtime_feature){"disk limit", "file size limit and watcher", "", true});
}

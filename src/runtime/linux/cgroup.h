/* SPDX-License-Identifier: Apache-2.0 */
/* Control groups, whatever mixture of v1 and v2 the host has. A sandbox has one name and a group of
 * that name in every hierarchy we use, all below one parent of our own. Thread-safe once open. */
#ifndef RUNTIME_LINUX_CGROUP_H
#define RUNTIME_LINUX_CGROUP_H

#include "base/err.h"
#include "base/str.h"
#include "runtime/runtime.h"

enum cgroup_controller {
    CGROUP_MEMORY,
    CGROUP_CPU,
    CGROUP_PIDS,
    CGROUP_CPUACCT, /* v1 only: in v2 every group counts its time */
    CGROUP_FREEZER, /* v1 only, and only without cgroup2, where every group can be frozen */
    CGROUP_CONTROLLERS,
};

enum {
    CGROUP_DIRS_MAX = CGROUP_CONTROLLERS + 1,
    CGROUP_NAME_SIZE = 48,
};

struct cgroup_dir {
    int fd;    /* of the parent group */
    int above; /* of the group it is in */
    int version;
};

struct cgroups {
    struct cgroup_dir dirs[CGROUP_DIRS_MAX]; /* one per hierarchy */
    size_t dir_count;
    int place[CGROUP_CONTROLLERS]; /* index into dirs; -1: no such limit here */
    int unified;                   /* the cgroup2 hierarchy, with or without controllers, or -1 */
    bool has_kill;                 /* cgroup.kill */
    bool is_fast;                  /* moving a process does not wait for RCU */
    char parent[CGROUP_NAME_SIZE]; /* name of the parent group, nobody else's */
};

/* Where the host is described; tests point it at files of their own. */
struct cgroup_source {
    const char *mountinfo; /* /proc/self/mountinfo */
    const char *own;       /* /proc/self/cgroup */
    const char *before; /* a file of ours: `own` of the process whose sandboxes may still run, and
                           which may have been elsewhere; written when there is none */
    const char *parent; /* name for the parent group */
};

/* mode: auto, v1, v2 or none. What is missing is absent, not an error. */
must_check int cgroups_open(struct cgroups *g, const struct cgroup_source *source, const char *mode,
                            struct err *err);
/* Removes the parent group if it is empty. */
void cgroups_close(struct cgroups *g);

must_check int cgroup_create(const struct cgroups *g, const char *name, struct err *err);
/* Limits whose controller is absent are not applied: see cgroup_version(). */
must_check int cgroup_limit(const struct cgroups *g, const char *name,
                            const struct sandbox_limits *limits, struct err *err);
/* Descriptor for CLONE_INTO_CGROUP; -1 without cgroup2. */
must_check int cgroup_unified_open(const struct cgroups *g, const char *name, int *out_fd,
                                   struct err *err);
/* Moves a process into all hierarchies; with is_in_unified it is in cgroup2 already. */
must_check int cgroup_attach(const struct cgroups *g, const char *name, int pid, bool is_in_unified,
                             struct err *err);
/* Takes its CPU limit away until cgroup_limit() sets it again. What cannot be only makes it slower.
 */
void cgroup_lift_cpu(const struct cgroups *g, const char *name);
/* Others get the processor first, until it is called back. A preference. */
void cgroup_set_aside(const struct cgroups *g, const char *name, bool is_aside);
/* Writes its memory to swap, as much as the kernel can: seconds, for gigabytes. A preference. */
void cgroup_push_out(const struct cgroups *g, const char *name);
/* Let nothing new begin in it and lift its CPU limit: a thousand processes that were told to end
 * need processor time to do so. */
void cgroup_let_die(const struct cgroups *g, const char *name);
/* SIGKILL to all in it; they may need a moment to go. */
void cgroup_kill(const struct cgroups *g, const char *name);
/* Stops all in it, or lets them go on; waits until they stand still. ERR_UNSUPPORTED without a
 * freezer. */
must_check int cgroup_freeze(const struct cgroups *g, const char *name, bool is_frozen,
                             struct err *err);
bool cgroup_can_freeze(const struct cgroups *g);
/* The directory of the group in the hierarchy with the freezer, else in any. */
must_check int cgroup_freezer_open(const struct cgroups *g, const char *name, int *out_fd,
                                   struct err *err);
/* Waits a bounded time for the last process to be gone. */
must_check int cgroup_destroy(const struct cgroups *g, const char *name, struct err *err);

/* cpu, memory and pids; zero where nothing is known. */
void cgroup_stats(const struct cgroups *g, const char *name, struct sandbox_stats *out);
/* Processes the kernel has killed in it for lack of memory. */
uint64_t cgroup_oom_kills(const struct cgroups *g, const char *name);
/* Process ids in it, as the text of cgroup.procs. */
must_check int cgroup_procs(const struct cgroups *g, const char *name, char *space, size_t size,
                            struct str *out, struct err *err);

/* Calls fn for each group whose name begins with `prefix`. */
void cgroup_each(const struct cgroups *g, const char *prefix,
                 void (*fn)(void *ctx, const char *name), void *ctx);
/* 1, 2, or 0 when the controller is absent. */
int cgroup_version(const struct cgroups *g, enum cgroup_controller c);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What this host's kernel can do, probed once by doing it (probe.c), and what was forced. */
#ifndef RUNTIME_LINUX_HOST_H
#define RUNTIME_LINUX_HOST_H

#include "base/err.h"
#include "runtime/linux/cgroup.h"
#include "runtime/runtime.h"

enum {
    FEATURES_MAX = 16,
    FEATURE_TEXT_SIZE = 160,
};

struct host {
    bool has_userns;
    bool has_idmap;
    bool has_layer_fds;  /* overlay layers by descriptor */
    bool has_timens;     /* together with CLONE_VM */
    bool has_clone_into; /* CLONE_INTO_CGROUP */
    bool has_seccomp;
    bool has_outward;       /* outward.h */
    struct err outward_err; /* why not */
    struct runtime_feature features[FEATURES_MAX];
    size_t feature_count;
};

/* Where a probe may try things. */
struct probe_place {
    const char *stage;     /* for mounts_private() */
    const char *data_dir;  /* sandboxes' files live below */
    const char *files_dir; /* an empty directory is made and removed here */
    uint32_t uid_base;
};

/* Fails when the host cannot run sandboxes at all. */
must_check int host_probe(struct host *h, const struct runtime_config *config,
                          const struct probe_place *place, struct err *err);
/* Does the kernel start processes inside this cgroup2 directory? */
bool host_can_clone_into(int cgroup_fd);
/* The rows of doctor; after host_probe() and cgroups_open(). */
void host_describe(struct host *h, const struct runtime_config *config, const struct cgroups *g);

#endif

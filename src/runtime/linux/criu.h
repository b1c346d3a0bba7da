/* SPDX-License-Identifier: Apache-2.0 */
/* CRIU, which writes the processes of a sandbox to a directory of images and makes them again. It
 * is run as a program; its command lines are tables here. */
#ifndef RUNTIME_LINUX_CRIU_H
#define RUNTIME_LINUX_CRIU_H

#include "runtime/linux/cgroup.h"
#include "runtime/linux/netns.h"

/* setting: runtime_config.criu. *out_path is on the heap, or NULL and *why says what is missing. */
void criu_find(const char *setting, char **out_path, struct err *why);

struct criu_dump {
    const char *path;   /* of the program */
    const char *images; /* directory, empty */
    int pid;            /* of its first process */
    int netns_fd, host_netns_fd;
    const struct cgroups *cgroups;
    const char *group;
};

/* The processes stand still before and afterwards, where there is a freezer. While it runs the
 * group's directory is locked (flock), also when we end: a dump that is cut off would break them.
 * ERR_UNSUPPORTED: a process has what no checkpoint can keep; the text names both. */
must_check int criu_dump(const struct criu_dump *d, struct err *err);

struct criu_restored {
    int pid, pidfd; /* a child of ours */
    int netns_fd;   /* its network namespace, configured before any of them ran */
};

struct criu_restore {
    const char *path;
    const char *images; /* as images_link() made them; its output and pid files go there, too */
    const char *stage;  /* of the calling thread: see saver.h */
    const struct cgroups *cgroups;
    const char *group; /* empty; what is restored will be in it */
    const struct netns_wish *wish;
    bool is_lazy; /* it runs before its memory is there: see pager.h */
    /* Called when all is restored and none of them has run; takes the process and the descriptors.
     * -1: none will run. */
    int (*about_to_run)(void *ctx, const struct criu_restored *made, struct err *err);
    void *ctx;
};

/* The stage has at root the file system to restore into, at guest the files of saver.h. */
must_check int criu_restore(const struct criu_restore *r, struct criu_restored *out,
                            struct err *err);

#endif

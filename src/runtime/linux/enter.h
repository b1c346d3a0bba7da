/* SPDX-License-Identifier: Apache-2.0 */
/* What a new sandbox process does between clone3 and exec. It shares our memory (CLONE_VM) and, at
 * first, our descriptor table; see raw.h for what that forbids. Used by process.c and idmap.c. */
#ifndef RUNTIME_LINUX_ENTER_H
#define RUNTIME_LINUX_ENTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/* Prepared by the parent; the child writes only `failed` and `error`. */
struct enter {
    uint32_t go;                         /* the child sleeps (futex) until this is 1 */
    int root_fd;                         /* detached mounts: the overlay, */
    int dev_fd;                          /* the device tree, */
    int sys_fd;                          /* sysfs of the network namespace, */
    int boot_fd;                         /* and the one of boot_id.h */
    int control_fd;                      /* becomes its descriptor 3 */
    int fds_end;                         /* all of the above are below this */
    const char *root_path;               /* empty directories to attach the root to, */
    const char *boot_path;               /* and boot_fd, which is left behind with the stage; */
    const char *boot_file, *boot_target; /* all but its file, which is bound here */
    const char *empty_path;              /* there, too: a directory with nothing in it, */
    int empty_fd;                        /* and its descriptor, once the root is attached */
    const char *hostname;
    uint64_t capabilities;           /* bounding set and final set */
    const struct sock_fprog *filter; /* NULL: inherited from the creator, or none */
    uint64_t file_size_max;          /* 0 = no limit */
    const char *cgroup_type; /* file system with the memory controller, NULL: none; mounted */
    const char *cgroup_data; /* read-only on /sys/fs/cgroup, where it begins at our own group */
    bool has_userns;
    const char *failed; /* the action that failed, */
    int error;          /* and its errno */
};

/* Paths that are covered in each sandbox, with nothing; a row without a path ends them. */
struct enter_mask {
    const char *path;
    bool is_dir;
};

extern const struct enter_mask enter_masks[];

/* Entry of the child; ctx is its struct enter. Returns only when something failed. */
int enter_main(void *ctx);
/* Entry of a child that only keeps a namespace alive until it is killed. */
int enter_idle(void *ctx);

#endif

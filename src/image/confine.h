/* SPDX-License-Identifier: Apache-2.0 */
/* Takes everything from a worker that it does not need: it becomes root of a user namespace of its
 * own, whose ids are nobody's on the host. What it writes into directories that were opened through
 * the namespace's map (tree_clone() of idmap.h) has the owners that it sets, on disk. */
#ifndef IMAGE_CONFINE_H
#define IMAGE_CONFINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct confine {
    int userns_fd;
    pid_t parent;        /* dies with it */
    const int *fds;      /* kept open besides 0, 1 and 2 */
    size_t fd_count;     /* at most CONFINE_FDS_MAX */
    bool needs_network;  /* else it has none at all */
    uint64_t file_bytes; /* largest file */
};

enum { CONFINE_FDS_MAX = 8 };

/* For a process with one thread, which it cannot leave again. */
must_check int confine(const struct confine *c, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Copying one thing of a tree, for those that walk trees: tree_copy.c, tree_merge.c. */
#ifndef RUNTIME_LINUX_TREE_COPY_INTERNAL_H
#define RUNTIME_LINUX_TREE_COPY_INTERNAL_H

#include <sys/stat.h>

#include "base/buf.h"
#include "base/map.h"
#include "runtime/linux/tree_copy.h"

enum {
    COPY_DEPTH_MAX = 512,
    COPY_PATH_MAX = 1 << 20,
};

struct copy {
    int top;          /* of the copy */
    struct map links; /* files that have several names, and where their first one went */
    struct buf path;  /* of the directory that is being copied, below top; ends with '/' */
};

void copy_init(struct copy *c, int top); /* borrowed */
void copy_done(struct copy *c);
/* What is not a directory, with all its attributes, from dirs[0] to dirs[1]. */
must_check int copy_one(struct copy *c, const int dirs[2], const char *name, const struct stat *st,
                        struct err *err);
/* Owner, mode, attributes and times of what has been made already. */
must_check int copy_rest(int from, int to, const char *name, const struct stat *st,
                         struct err *err);

#endif

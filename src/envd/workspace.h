/* SPDX-License-Identifier: Apache-2.0 */
/* The directory that clients of /envd/... stay in (AC-46): the sandbox's working directory, or the
 * home of its default user. It keeps a client's mistakes to its own files; a program in the sandbox
 * that swaps a directory for a link at the right moment still misleads it, into what such a client
 * may reach by other calls anyway. */
#ifndef ENVD_WORKSPACE_H
#define ENVD_WORKSPACE_H

#include "base/arena.h"
#include "base/err.h"

enum workspace_end {
    WORKSPACE_FOLLOW, /* where the path leads */
    WORKSPACE_ITSELF, /* its last part may be a link, and is meant; the workspace is refused */
};

/* The absolute path without links that `path` stands for, NUL behind, in `a`. A relative one begins
 * in `root`; what is not there yet is kept as it is written. ERR_DENIED when it, or a link on its
 * way, leaves `root`. */
must_check int workspace_resolve(struct str root, struct str path, enum workspace_end end,
                                 struct arena *a, struct str *out, struct err *err);

#endif

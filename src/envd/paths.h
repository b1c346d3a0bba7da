/* SPDX-License-Identifier: Apache-2.0 */
/* From the path a client sends to the path we open (wire.md 3.1), and directories made on the way.
 */
#ifndef ENVD_PATHS_H
#define ENVD_PATHS_H

#include "base/arena.h"
#include "base/err.h"
#include "envd/users.h"

enum {
    PATH_LEN_MAX = 4095 /* PATH_MAX without its NUL */
};

/* Empty: workdir, or home when that is empty too. "~" and "~/x": home. "~other": ERR_INVALID.
 * Absolute: as it is. Relative: joined to home and cleaned. The result is in `a`, NUL behind. */
must_check int path_resolve(struct str path, const struct user *u, struct str workdir,
                            struct arena *a, struct str *out, struct err *err);
/* Lexical clean-up of an absolute path: "//", "." and ".." go. In `a`. */
struct str path_clean(struct str path, struct arena *a);
/* Last part of a path; "/" for the root. Trailing slashes do not count. */
struct str path_base(struct str path);
/* Everything before the last part: "/" or "/a/b". In `a`, NUL behind. */
struct str path_parent(struct str path, struct arena *a);

/* mkdir -p with mode 0755, each new directory owned by the user. Races with others are tolerated.
 */
must_check int path_make_dirs(const char *path, const struct user *u, struct err *err);

#endif

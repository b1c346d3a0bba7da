/* SPDX-License-Identifier: Apache-2.0 */
/* From the path a client sends to the path we open (wire.md 3.1), and directories made on the way.
 */
#ifndef ENVD_PATHS_H
#define ENVD_PATHS_H

#include <sys/stat.h>

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
/* Without slashes at the end, "/" itself excepted: with one a link would be its target. In `a`, NUL
 * behind; .at is NULL when there is no memory. */
struct str path_trim(struct str path, struct arena *a);
/* Last part of a path; "/" for the root. Trailing slashes do not count. */
struct str path_base(struct str path);
/* Everything before the last part: "/" or "/a/b". In `a`, NUL behind. */
struct str path_parent(struct str path, struct arena *a);

/* Where a path leads when links are followed, and what is there (`out_st` may be NULL); `path`
 * itself when it leads nowhere. In `a`, NUL behind; .at is NULL when there is no memory. */
struct str path_follow(struct str path, struct arena *a, struct stat *out_st);

/* mkdir -p with mode 0755, each new directory owned by the user. Races with others are tolerated.
 * When it fails nothing of it is left. ERR_INVALID where something else is in the way. */
must_check int path_make_dirs(const char *path, const struct user *u, struct err *err);
/* The same, for who may have to take it back: *out_first is the length of the first part of `path`
 * that was made, 0 when all were there. */
must_check int path_make_dirs_noted(const char *path, const struct user *u, size_t *out_first,
                                    struct err *err);
void path_unmake_dirs(const char *path, size_t first); /* as far as they are empty */

#endif

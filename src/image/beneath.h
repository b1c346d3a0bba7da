/* SPDX-License-Identifier: Apache-2.0 */
/* Paths of strangers, resolved beneath a directory and nowhere else: the kernel (openat2) takes the
 * directory for the root, so links lead where they lead in the image, never out of it. */
#ifndef IMAGE_BENEATH_H
#define IMAGE_BENEATH_H

#include <stdbool.h>

#include "base/err.h"
#include "base/str.h"

enum {
    BENEATH_PATH_MAX = 4096, /* with the NUL */
    BENEATH_NAME_MAX = 255,
};

/* "./a//b/" is "a/b", "/" is "". ERR_INVALID: "..", a name or path that is too long, a NUL. */
must_check int beneath_clean(struct str path, char out[BENEATH_PATH_MAX], struct err *err);
/* Splits in place: the directory's path, and the last name. The path is not "". */
void beneath_split(char *path, const char **out_dir, const char **out_name);

/* openat2() with `flags` (CLOEXEC is added). */
must_check int beneath_open(int root, const char *path, int flags, int *out_fd, struct err *err);
/* Is it an overlay's mark for "not there" (a character device 0:0)? */
bool beneath_is_whiteout(int dir, const char *name);

#endif

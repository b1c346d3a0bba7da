/* SPDX-License-Identifier: Apache-2.0 */
/* Several layers of an overlay, one over the other, as one layer: over whatever is below them it
 * shows what they show. */
#ifndef RUNTIME_LINUX_TREE_MERGE_H
#define RUNTIME_LINUX_TREE_MERGE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum { TREE_MERGE_MAX = 128 };

/* `layers`: absolute paths, the lowest first. `to` below to_dir must not exist; what is there of it
 * after a failure is the caller's to remove. Nobody writes to the layers meanwhile. Gives up
 * (ERR_UNAVAILABLE) once *is_over. */
must_check int tree_merge(const char *const layers[], size_t count, int to_dir, const char *to,
                          const atomic_bool *is_over, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of trees. The data of files is shared where the file system can (reflink), holes stay. */
#ifndef RUNTIME_LINUX_TREE_COPY_H
#define RUNTIME_LINUX_TREE_COPY_H

#include <stdint.h>

#include "base/err.h"

/* What a sandbox wrote, exactly: owners, extended attributes (the overlay's own, too), whiteouts,
 * pipes, names of one file. `to` must not exist; what is there of it after a failure is the
 * caller's to remove. */
must_check int tree_copy_layer(int from_dir, const char *from, int to_dir, const char *to,
                               struct err *err);

#endif

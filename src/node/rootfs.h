/* SPDX-License-Identifier: Apache-2.0 */
/* Finds a template's tree by name, beneath the directory of trees and nowhere else. */
#ifndef NODE_ROOTFS_H
#define NODE_ROOTFS_H

#include "base/err.h"
#include "base/str.h"

/* `out` gets the absolute path. ERR_INVALID for a name with '/' or "..", ERR_NOT_FOUND. */
must_check int rootfs_path(const char *dir, struct str name, char *out, size_t size,
                           struct err *err);

#endif

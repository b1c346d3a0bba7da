/* SPDX-License-Identifier: Apache-2.0 */
/* The guest daemon's binary as sandboxes get it: a copy in data_dir for each version, because a
 * checkpoint goes on with the very file that its processes had mapped, also after an upgrade. */
#ifndef RUNTIME_LINUX_ENVD_FILE_H
#define RUNTIME_LINUX_ENVD_FILE_H

#include "base/err.h"

/* *out is the path of the copy, on the heap. It is there on the disk. */
must_check int envd_file_keep(const char *data_dir, const char *path, char **out, struct err *err);

#endif

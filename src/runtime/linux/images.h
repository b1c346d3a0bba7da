/* SPDX-License-Identifier: Apache-2.0 */
/* Two facts of a checkpoint's images that are of the run that was saved, and must be of the run to
 * come: the range of user ids, and that the network namespace is to be a new one. */
#ifndef RUNTIME_LINUX_IMAGES_H
#define RUNTIME_LINUX_IMAGES_H

#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

/* In `dir`, once after the dump: CRIU ran in the sandbox's network namespace (which is the host's,
 * so that it may not be recorded as one of the sandbox's), and would restore into its own. */
must_check int images_part_network(int dir, struct err *err);
/* Copies of the images in `from` as links in `to`, with a user namespace that begins at `uid`
 * unless has_userns is false. What runs from them cannot change those of others. */
must_check int images_link(int from, int to, bool has_userns, uint32_t uid, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Does a pause with memory work on this machine? Asked by doing it: a sandbox of nothing but its
 * guest, secured like any other, is paused to the disk, restored, and stopped. */
#ifndef RUNTIME_ROUNDTRIP_H
#define RUNTIME_ROUNDTRIP_H

#include "runtime/runtime.h"

/* `r` is on `l`, was opened with hot_resume_s 0 and has no sandbox "probe"; `rootfs` is an empty
 * directory. Runs the loop until it knows, a minute at most. */
must_check int roundtrip_run(struct loop *l, struct runtime *r, const char *rootfs,
                             struct err *err);

#endif

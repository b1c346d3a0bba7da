/* SPDX-License-Identifier: Apache-2.0 */
/* Does a pause with memory work on this machine? Asked by doing it: a sandbox of nothing but its
 * guest, secured like any other, is paused to the disk, restored, and stopped. */
#ifndef RUNTIME_ROUNDTRIP_H
#define RUNTIME_ROUNDTRIP_H

#include "runtime/runtime.h"

struct roundtrip;

/* NULL: it works. Not from within roundtrip_begin(); the object is gone by then. */
typedef void roundtrip_fn(void *ctx, const struct err *err);

/* `r` is on `l` and was opened with hot_resume_s 0; a sandbox "probe" of an earlier one is ended
 * first. `rootfs` is an empty directory. Each work of the runtime has a time limit. */
struct roundtrip *roundtrip_begin(struct loop *l, struct runtime *r, const char *rootfs,
                                  roundtrip_fn *fn, void *ctx);
/* Gives up. Before runtime_free(), which leaves the sandbox as it is; NULL is fine. */
void roundtrip_free(struct roundtrip *t);
/* The same, running the loop meanwhile. */
must_check int roundtrip_run(struct loop *l, struct runtime *r, const char *rootfs,
                             struct err *err);

#endif

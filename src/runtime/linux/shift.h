/* SPDX-License-Identifier: Apache-2.0 */
/* For hosts without id-mapped mounts: a copy of a template whose owners are moved up to the
 * sandboxes' range. Made once per template and kept; all sandboxes then share one range. */
#ifndef RUNTIME_LINUX_SHIFT_H
#define RUNTIME_LINUX_SHIFT_H

#include <pthread.h>
#include <stdint.h>

#include "base/err.h"

struct shift {
    const char *rootfs; /* the template */
    const char *dir;    /* where copies are kept */
    uint32_t uid;       /* added to every owner */
    pthread_mutex_t *lock;
};

/* Waits for the copy if it must be made. *out is its path, on the heap. */
must_check int shift_template(const struct shift *s, char **out, struct err *err);

#endif

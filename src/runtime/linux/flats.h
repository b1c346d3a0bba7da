/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks of layers grow with snapshots of what was started from snapshots. In the background, on a
 * thread of its own, a run of layers becomes one ("flat"), which later starts and resumes get in
 * place of the run; what is mounted and what is recorded stays as it is. A flat is
 *
 *   snapshots/flat-N/u            the layer
 *   snapshots/flat-N/stands_for   the run, written last: without it the directory is nobody's
 *
 * and is dropped when a layer of its run is gone, or is about to be written to again (in place).
 * On the loop. */
#ifndef RUNTIME_LINUX_FLATS_H
#define RUNTIME_LINUX_FLATS_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "runtime/linux/places.h"

enum { FLAT_ABOVE = 20 }; /* layers of sandboxes that a stack may have before */

struct linux_driver;
struct flat_job;

struct flats {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    pthread_t thread;
    bool has_thread;
    atomic_bool is_over;
    struct list queue, all;
    struct flat_job *merging; /* one at a time; until the loop has heard of its end */
    uint64_t not_before_ms;   /* after a failure */
};

must_check int flats_init(struct linux_driver *d, struct err *err);
void flats_done(struct linux_driver *d);
/* Those an earlier process made; after the snapshots and paused sandboxes are known. */
must_check int flats_adopt(struct linux_driver *d, struct err *err);
/* Runs of the stack that there are flats for become those. Holds and leaves nothing. */
void flats_apply(const struct linux_driver *d, struct stack *s);
/* The layer of this place is about to be written to. */
void flats_drop_with(struct linux_driver *d, const char *place);
void flats_sweep(struct linux_driver *d); /* drops those whose layers are gone */
void flats_look(struct linux_driver *d);  /* and is there a stack to flatten? */

#endif

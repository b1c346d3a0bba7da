/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the driver's threads: with all signals blocked, so that the loop's thread gets them. And
 * their waits for a while, which a wall clock that is set does not change. */
#ifndef RUNTIME_LINUX_THREAD_H
#define RUNTIME_LINUX_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

must_check int thread_start(pthread_t *out, void *(*fn)(void *ctx), void *ctx, struct err *err);

void thread_cond_init(pthread_cond_t *c);
/* For one that was made by thread_cond_init(). False: `ms` have passed. */
bool thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ms);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the driver's threads: with all signals blocked, so that the loop's thread gets them. */
#ifndef RUNTIME_LINUX_THREAD_H
#define RUNTIME_LINUX_THREAD_H

#include <pthread.h>

#include "base/err.h"

must_check int thread_start(pthread_t *out, void *(*fn)(void *ctx), void *ctx, struct err *err);

#endif

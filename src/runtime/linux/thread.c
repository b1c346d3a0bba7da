/* SPDX-License-Identifier: Apache-2.0 */
/* See thread.h. */
#include "runtime/linux/thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

enum { STACK_SIZE = 256 << 10 };

int thread_start(pthread_t *out, void *(*fn)(void *ctx), void *ctx, struct err *err)
{
    pthread_attr_t attr;
    sigset_t all, before;
    int error;

    pthread_attr_init(&attr);
    ignore(pthread_attr_setstacksize(&attr, STACK_SIZE)); /* the default is larger, and fine */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(out, &attr, fn, ctx);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    if (error != 0)
        return err_sys(err, error, "start a thread");
    return 0;
}

void thread_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t by_mono;

    pthread_condattr_init(&by_mono);
    pthread_condattr_setclock(&by_mono, CLOCK_MONOTONIC);
    pthread_cond_init(c, &by_mono);
    pthread_condattr_destroy(&by_mono);
}

bool thread_cond_wait(pthread_cond_t *c, pthread_mutex_t *m, uint64_t ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000L;
    until.tv_sec += (time_t)(ms / 1000) + until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    return pthread_cond_timedwait(c, m, &until) != ETIMEDOUT;
}

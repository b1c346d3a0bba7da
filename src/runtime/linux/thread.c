/* SPDX-License-Identifier: Apache-2.0 */
/* See thread.h. */
#include "runtime/linux/thread.h"

#include <signal.h>

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

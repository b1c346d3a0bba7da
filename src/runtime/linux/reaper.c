/* SPDX-License-Identifier: Apache-2.0 */
/* Frees what a sandbox leaves: everything that takes time and that nobody waits for. */
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/thread.h"

static struct guest *next(struct reaper *r)
{
    struct list_node *n;

    pthread_mutex_lock(&r->lock);
    while ((n = list_pop(&r->queue)) == NULL && !r->is_closing)
        pthread_cond_wait(&r->wanted, &r->lock);
    pthread_mutex_unlock(&r->lock);
    return n == NULL ? NULL : container_of(n, struct guest, queue);
}

static void count_down(struct reaper *r)
{
    pthread_mutex_lock(&r->lock);
    r->backlog--;
    pthread_cond_broadcast(&r->drained);
    pthread_mutex_unlock(&r->lock);
}

static void *reaper_main(void *ctx)
{
    struct linux_driver *d = ctx;
    struct guest *s;

    while ((s = next(&d->reaper)) != NULL) {
        bool is_failure = s->state == SANDBOX_UNDOING;

        steps_undo(&s->steps);
        count_down(&d->reaper);
        mailbox_post(&d->mailbox, &s->mail, is_failure ? lifecycle_failed : lifecycle_reaped, s);
    }
    return NULL;
}

int reaper_init(struct linux_driver *d, struct err *err)
{
    struct reaper *r = &d->reaper;

    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->wanted, NULL);
    pthread_cond_init(&r->drained, NULL);
    if (thread_start(&r->thread, reaper_main, d, err) != 0)
        return err_wrap(err, "reaper");
    r->has_thread = true;
    return 0;
}

void reaper_done(struct linux_driver *d)
{
    struct reaper *r = &d->reaper;

    pthread_mutex_lock(&r->lock);
    r->is_closing = true;
    pthread_cond_signal(&r->wanted);
    pthread_mutex_unlock(&r->lock);
    if (r->has_thread)
        pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->drained);
    pthread_cond_destroy(&r->wanted);
    pthread_mutex_destroy(&r->lock);
}

void reaper_put(struct linux_driver *d, struct guest *s)
{
    struct reaper *r = &d->reaper;

    pthread_mutex_lock(&r->lock);
    list_push(&r->queue, &s->queue);
    r->backlog++;
    pthread_cond_signal(&r->wanted);
    pthread_mutex_unlock(&r->lock);
}

/* The reaper never waits for a creator, so this ends. */
void reaper_wait_room(struct linux_driver *d)
{
    struct reaper *r = &d->reaper;

    pthread_mutex_lock(&r->lock);
    while (r->backlog > REAP_BACKLOG_MAX)
        pthread_cond_wait(&r->drained, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

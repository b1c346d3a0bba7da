/* SPDX-License-Identifier: Apache-2.0 */
/* Frees what a sandbox leaves: everything that takes time and that nobody waits for. */
#include "base/clock.h"
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/thread.h"

/* The rest of those that may rest follows the first: all rest as long. */
static void wake_due(struct reaper *r, uint64_t now_ms)
{
    struct list_node *n;

    while ((n = list_first(&r->resting)) != NULL &&
           (r->is_closing || container_of(n, struct guest, queue)->due_ms <= now_ms)) {
        list_remove(n);
        list_push(&r->queue, n);
        r->backlog++;
    }
}

/* What rests is not due at now_ms. */
static void wait_work(struct reaper *r, uint64_t now_ms)
{
    struct list_node *n = list_first(&r->resting);

    if (n == NULL)
        pthread_cond_wait(&r->wanted, &r->lock);
    else
        ignore((long)thread_cond_wait(&r->wanted, &r->lock,
                                      container_of(n, struct guest, queue)->due_ms - now_ms));
}

static struct guest *next(struct reaper *r)
{
    struct list_node *n;

    pthread_mutex_lock(&r->lock);
    for (;;) {
        uint64_t now_ms = clock_mono_ms();

        wake_due(r, now_ms);
        n = list_pop(&r->queue);
        if (n != NULL || r->is_closing)
            break;
        wait_work(r, now_ms);
    }
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
    thread_cond_init(&r->wanted);
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

void reaper_put_resting(struct linux_driver *d, struct guest *s)
{
    struct reaper *r = &d->reaper;

    pthread_mutex_lock(&r->lock);
    s->due_ms = clock_mono_ms() + REAP_REST_MS;
    list_push(&r->resting, &s->queue);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* A list under a lock and an eventfd on the loop. */
#include "runtime/linux/mailbox.h"

#include <errno.h>
#include <sys/eventfd.h>

static struct list_node *take_one(struct mailbox *m)
{
    struct list_node *n;

    pthread_mutex_lock(&m->lock);
    n = list_pop(&m->waiting);
    pthread_mutex_unlock(&m->lock);
    return n;
}

static void on_event(void *ctx, uint32_t events)
{
    struct mailbox *m = ctx;
    struct list_node *n;
    uint64_t rung;

    (void)events;
    ignore(read(m->event_fd, &rung, sizeof(rung))); /* resets it; the list is what counts */
    while ((n = take_one(m)) != NULL) {
        struct mail *mail = container_of(n, struct mail, node);

        mail->fn(mail->ctx);
    }
}

int mailbox_init(struct mailbox *m, struct loop *l, struct err *err)
{
    *m = (struct mailbox){.event_fd = -1};
    m->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (m->event_fd < 0)
        return err_sys(err, errno, "eventfd");
    pthread_mutex_init(&m->lock, NULL);
    if (watch_start(l, &m->watch, m->event_fd, EPOLLIN, on_event, m, err) != 0) {
        own_close_fd(&m->event_fd);
        return -1;
    }
    return 0;
}

void mailbox_done(struct mailbox *m)
{
    watch_stop(&m->watch);
    own_close_fd(&m->event_fd);
    pthread_mutex_destroy(&m->lock);
}

void mailbox_post(struct mailbox *m, struct mail *mail, loop_fn *fn, void *ctx)
{
    const uint64_t one = 1;

    mail->fn = fn;
    mail->ctx = ctx;
    pthread_mutex_lock(&m->lock);
    list_push(&m->waiting, &mail->node);
    pthread_mutex_unlock(&m->lock);
    ignore(write(m->event_fd, &one, sizeof(one))); /* fails only when it is rung already */
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The creator threads and their queue, first in first out. */
#include "runtime/linux/creator.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "runtime/linux/devtree.h"
#include "runtime/linux/mounts.h"
#include "runtime/linux/saver.h"
#include "runtime/linux/seccomp.h"
#include "runtime/linux/thread.h"

enum {
    FD_LEAST = 10, /* the child uses the numbers below itself */
};

int creator_place(struct creator *c, const int fds[CREATOR_FDS], struct err *err)
{
    for (size_t i = 0; i < CREATOR_FDS; i++) {
        if (dup3(fds[i], c->fds[i], O_CLOEXEC) < 0)
            return err_sys(err, errno, "place descriptors");
    }
    return 0;
}

void creator_clear(struct creator *c)
{
    for (size_t i = 0; i < CREATOR_FDS; i++)
        ignore(dup3(c->driver->proc_fd, c->fds[i], O_CLOEXEC)); /* any harmless one will do */
}

static int creator_init(struct creator *c, struct linux_driver *d, struct creators *line,
                        struct err *err)
{
    *c = (struct creator){
        .driver = d, .line = line, .net_fd = -1, .stack = MAP_FAILED, .fds = {-1, -1, -1, -1, -1}
    };
    for (size_t i = 0; i < CREATOR_FDS; i++) {
        c->fds[i] = fcntl(d->proc_fd, F_DUPFD_CLOEXEC, FD_LEAST);
        if (c->fds[i] < 0)
            return err_sys(err, errno, "reserve descriptors");
        if (c->fds[i] >= c->fds_end)
            c->fds_end = c->fds[i] + 1;
    }
    c->stack = mmap(NULL, CHILD_STACK_SIZE, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (c->stack == MAP_FAILED)
        return err_sys(err, errno, "stack");
    return 0;
}

static void creator_done(struct creator *c)
{
    for (size_t i = 0; i < CREATOR_FDS; i++)
        own_close_fd(&c->fds[i]);
    own_close_fd(&c->net_fd);
    if (c->stack != MAP_FAILED)
        ignore(munmap(c->stack, CHILD_STACK_SIZE));
}

/* With a user namespace the filter goes on the thread itself, and each child inherits it. */
static int prepare_thread(struct creator *c, struct err *err)
{
    struct linux_driver *d = c->driver;

    if (mounts_private(d->stage, c->line->saves ? NULL : d->data_dir, err) != 0 ||
        devtree_add_guest("dev", d->envd_path, !c->line->saves, err) != 0)
        return -1;
    if (c->line->saves)
        return saver_prepare(d, &c->net_fd, err);
    if (d->filter.filter != NULL && d->host.has_userns)
        return seccomp_install(&d->filter, err);
    return 0;
}

static struct guest *next(struct creators *q)
{
    struct list_node *n;

    pthread_mutex_lock(&q->lock);
    while (list_first(&q->queue) == NULL && !q->is_closing)
        pthread_cond_wait(&q->wanted, &q->lock);
    n = q->is_closing ? NULL : list_pop(&q->queue);
    q->queued -= n != NULL;
    pthread_mutex_unlock(&q->lock);
    return n == NULL ? NULL : container_of(n, struct guest, queue);
}

void creator_launch(struct guest *s, const struct err *broken)
{
    struct linux_driver *d = s->driver;
    int result = -1;

    reaper_wait_room(d);
    if (broken->kind == ERR_NONE)
        result = steps_run(&s->steps, launch_creator_steps(s), &s->err);
    else
        s->err = *broken;
    if (result != 0)
        steps_undo(&s->steps);
    s->job_done = result == 0 ? lifecycle_spawned : lifecycle_failed;
}

static void work(struct creator *c, struct guest *s, const struct err *broken)
{
    s->creator = c;
    if (c->line->saves)
        saver_tell(c->driver);
    s->job(s, broken);
    if (c->line->saves)
        saver_note(c->driver);
    creator_clear(c);
    s->creator = NULL;
    mailbox_post(&c->driver->mailbox, &s->mail, s->job_done, s);
}

static void *creator_main(void *ctx)
{
    struct creator *c = ctx;
    struct err err = {0};
    struct guest *s;

    /* a creator that cannot prepare itself says so to everyone it works for */
    if (prepare_thread(c, &err) != 0)
        ignore(err_wrap(&err, "creator"));
    while ((s = next(c->line)) != NULL)
        work(c, s, &err);
    return NULL;
}

int creators_init(struct linux_driver *d, struct creators *q, struct err *err)
{
    size_t count = (size_t)get_nprocs();

    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->wanted, NULL);
    count = count < CREATORS_MAX ? count : CREATORS_MAX;
    q->rows = mem_array(count, sizeof(*q->rows));
    for (size_t i = 0; i < count; i++) {
        struct creator *c = &q->rows[i];

        q->count++;
        if (creator_init(c, d, q, err) != 0 || thread_start(&c->thread, creator_main, c, err) != 0)
            return err_wrap(err, "creator");
        c->has_thread = true;
    }
    return 0;
}

void creators_done(struct creators *q)
{
    pthread_mutex_lock(&q->lock);
    q->is_closing = true;
    pthread_cond_broadcast(&q->wanted);
    pthread_mutex_unlock(&q->lock);
    for (size_t i = 0; i < q->count; i++) {
        if (q->rows[i].has_thread)
            pthread_join(q->rows[i].thread, NULL);
        creator_done(&q->rows[i]);
    }
    free(q->rows);
    pthread_cond_destroy(&q->wanted);
    pthread_mutex_destroy(&q->lock);
}

bool creators_put(struct creators *q, struct guest *s, guest_job_fn *job)
{
    bool has_room;

    s->job = job;

    pthread_mutex_lock(&q->lock);
    has_room = q->queued < START_QUEUE_MAX;
    if (has_room) {
        list_push(&q->queue, &s->queue);
        q->queued++;
        pthread_cond_signal(&q->wanted);
    }
    pthread_mutex_unlock(&q->lock);
    return has_room;
}

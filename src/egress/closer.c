/* SPDX-License-Identifier: Apache-2.0 */
/* See closer.h. As many threads as make the end of hundreds of sandboxes a matter of a second. */
#include "egress/closer.h"

#include <errno.h>
#include <pthread.h>

#include "base/list.h"

enum {
    THREADS = 8,
    STACK_SIZE = 64 << 10,
};

struct closing {
    struct list_node node;
    int fd;
};

struct closer {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct list queue; /* struct closing: no more than there are descriptors */
    bool is_ending;
    pthread_t threads[THREADS];
    size_t thread_count;
};

static struct closing *take(struct closer *c)
{
    struct list_node *n;

    pthread_mutex_lock(&c->lock);
    while ((n = list_pop(&c->queue)) == NULL && !c->is_ending)
        pthread_cond_wait(&c->wanted, &c->lock);
    pthread_mutex_unlock(&c->lock);
    return n == NULL ? NULL : container_of(n, struct closing, node);
}

static void *run(void *ctx)
{
    struct closing *one;

    while ((one = take(ctx)) != NULL) {
        own_close_fd(&one->fd);
        free(one);
    }
    return NULL;
}

int closer_new(struct closer **out, struct err *err)
{
    struct closer *c = mem_zero(sizeof(*c));
    pthread_attr_t attributes;
    int failure = 0;

    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wanted, NULL);
    pthread_attr_init(&attributes);
    ignore(pthread_attr_setstacksize(&attributes, STACK_SIZE)); /* else it is larger */
    while (failure == 0 && c->thread_count < THREADS) {
        failure = pthread_create(&c->threads[c->thread_count], &attributes, run, c);
        c->thread_count += failure == 0;
    }
    pthread_attr_destroy(&attributes);
    if (failure != 0) {
        closer_free(c);
        return err_sys(err, failure, "start a thread");
    }
    *out = c;
    return 0;
}

void closer_free(struct closer *c)
{
    if (c == NULL)
        return;
    pthread_mutex_lock(&c->lock);
    c->is_ending = true;
    pthread_cond_broadcast(&c->wanted);
    pthread_mutex_unlock(&c->lock);
    while (c->thread_count > 0)
        pthread_join(c->threads[--c->thread_count], NULL);
    pthread_cond_destroy(&c->wanted);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

void closer_put(struct closer *c, int fd)
{
    struct closing *one;

    if (fd < 0)
        return;
    one = mem_zero(sizeof(*one));
    one->fd = fd;
    pthread_mutex_lock(&c->lock);
    list_push(&c->queue, &one->node);
    pthread_cond_signal(&c->wanted);
    pthread_mutex_unlock(&c->lock);
}

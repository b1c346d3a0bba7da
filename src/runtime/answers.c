/* SPDX-License-Identifier: Apache-2.0 */
/* Deferred callbacks; see answers.h. */
#include "runtime/answers.h"

#include <stdio.h>

enum { ANSWER_ID_MAX = 64 };

struct answer {
    struct list_node node;
    char id[ANSWER_ID_MAX];
    bool has_failed;
    struct err err;
    runtime_started_fn *started;
    runtime_stopped_fn *stopped;
    void *ctx;
};

void answers_init(struct answers *a, struct loop *l)
{
    *a = (struct answers){.loop = l};
}

void answers_done(struct answers *a)
{
    struct list_node *n;

    task_cancel(&a->task);
    while ((n = list_pop(&a->waiting)) != NULL)
        free(container_of(n, struct answer, node));
}

static void deliver(void *ctx)
{
    struct answers *a = ctx;
    struct list_node *n;

    while ((n = list_pop(&a->waiting)) != NULL) {
        struct answer *one = container_of(n, struct answer, node);
        struct answer copy = *one;
        const struct err *err = copy.has_failed ? &copy.err : NULL;

        free(one);
        if (copy.started != NULL)
            copy.started(copy.ctx, copy.id, 0, err);
        else
            copy.stopped(copy.ctx, copy.id, err);
    }
}

static struct answer *answer_new(const char *id, const struct err *err, void *ctx)
{
    struct answer *one = mem_zero(sizeof(*one));

    /* an id that is too long is refused as such; its head is enough to tell which */
    ignore(snprintf(one->id, sizeof(one->id), "%s", id));
    one->has_failed = err != NULL;
    if (err != NULL)
        one->err = *err;
    one->ctx = ctx;
    return one;
}

void answers_started(struct answers *a, const char *id, const struct err *err,
                     runtime_started_fn *fn, void *ctx)
{
    struct answer *one = answer_new(id, err, ctx);

    one->started = fn;
    list_push(&a->waiting, &one->node);
    task_defer(a->loop, &a->task, deliver, a);
}

void answers_stopped(struct answers *a, const char *id, const struct err *err,
                     runtime_stopped_fn *fn, void *ctx)
{
    struct answer *one = answer_new(id, err, ctx);

    one->stopped = fn;
    list_push(&a->waiting, &one->node);
    task_defer(a->loop, &a->task, deliver, a);
}

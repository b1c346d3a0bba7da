/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a sandbox that is being saved or woken already, for somebody whose end came
 * before the answer: an api that was started again knows nothing of it. It waits, and is asked
 * again. Used by asleep.c, on the loop. */
#include <stdio.h>

#include "runtime/linux/driver_internal.h"

struct parked {
    struct list_node node;
    char id[SANDBOX_ID_SIZE];
    struct saving asked;
    struct guest *waker; /* of a resume: what it asks, and who */
};

static void park(struct guest *s, const struct saving *asked, struct guest *waker)
{
    struct parked *p = mem_zero(sizeof(*p));

    memcpy(p->id, s->id, sizeof(p->id));
    p->asked = *asked;
    p->waker = waker;
    list_push(&s->parked, &p->node);
}

bool parked_pause(struct guest *s, bool keeps_memory, runtime_started_fn *fn, void *ctx)
{
    const struct saving asked = {
        .work = RUNTIME_PAUSE, .keeps_memory = keeps_memory, .fn = fn, .ctx = ctx};

    if (!s->saving.is_asked || s->saving.work == RUNTIME_RESUME)
        return false;
    park(s, &asked, NULL);
    return true;
}

bool parked_snapshot(struct guest *s, const char *name, bool keeps_memory, runtime_started_fn *fn,
                     void *ctx)
{
    struct saving asked = {
        .work = RUNTIME_SNAPSHOT, .keeps_memory = keeps_memory, .fn = fn, .ctx = ctx};

    if (!s->saving.is_asked || s->saving.work == RUNTIME_RESUME)
        return false;
    ignore(snprintf(asked.name, sizeof(asked.name), "%s", name)); /* driver.h: it was checked */
    park(s, &asked, NULL);
    return true;
}

bool parked_resume(struct guest *s, struct guest *waker)
{
    const struct saving asked = {.work = RUNTIME_RESUME};

    if (!s->saving.is_asked && s->waker == NULL && s->state != SANDBOX_WAKING)
        return false;
    park(s, &asked, waker);
    return true;
}

void parked_take(struct guest *s, struct list *out)
{
    struct list_node *n;

    while ((n = list_pop(&s->parked)) != NULL)
        list_push(out, n);
}

void parked_again(struct linux_driver *d, struct list *all)
{
    struct list_node *n;

    while ((n = list_pop(all)) != NULL) {
        struct parked *p = container_of(n, struct parked, node);
        const struct saving *a = &p->asked;

        if (a->work == RUNTIME_PAUSE)
            asleep_pause(d, p->id, a->keeps_memory, a->fn, a->ctx);
        else if (a->work == RUNTIME_RESUME)
            asleep_wake(d, p->waker);
        else
            asleep_snapshot(d, p->id, a->name, a->keeps_memory, a->fn, a->ctx);
        free(p);
    }
}

void parked_free(struct guest *s)
{
    struct list_node *n;

    while ((n = list_pop(&s->parked)) != NULL) {
        struct parked *p = container_of(n, struct parked, node);

        if (p->waker != NULL)
            guest_free(p->waker);
        free(p);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See pool.h. */
#include "runtime/linux/pool.h"

#include <stdio.h>
#include <sys/resource.h>

#include "base/id.h"
#include "runtime/linux/thread.h"

enum {
    FILLER_NICE = 5,
    RUN_LEN = 6,
};

void cell_free(const struct cgroups *g, struct cell *c)
{
    struct err ignored;

    netns_done(&c->net);
    if (c->cgroup[0] != '\0')
        ignore(cgroup_destroy(g, c->cgroup, &ignored)); /* the next start sweeps what stays */
    c->cgroup[0] = '\0';
}

static uint64_t next_serial(struct slot_pool *p)
{
    uint64_t serial;

    pthread_mutex_lock(&p->lock);
    serial = p->serial++;
    pthread_mutex_unlock(&p->lock);
    return serial;
}

static int cell_make(struct slot_pool *p, bool has_net, struct cell *out, struct err *err)
{
    struct cell c = {netns_none, ""};

    if (has_net && netns_make(&p->wish, &c.net, err) != 0)
        return -1;
    ignore(snprintf(c.cgroup, sizeof(c.cgroup), "%s-%s-%llu", p->prefix, p->run,
                    (unsigned long long)next_serial(p)));
    if (cgroup_create(p->cgroups, c.cgroup, err) != 0) {
        c.cgroup[0] = '\0';
        cell_free(p->cgroups, &c);
        return -1;
    }
    *out = c;
    return 0;
}

/* Waits until something is to be made; false at the end. */
static bool wait_for_work(struct slot_pool *p)
{
    bool goes_on;

    pthread_mutex_lock(&p->lock);
    while (p->count >= p->target && !p->is_closing)
        pthread_cond_wait(&p->wanted, &p->lock);
    goes_on = !p->is_closing;
    pthread_mutex_unlock(&p->lock);
    return goes_on;
}

/* Failures end the round: who takes from an empty pool makes its own and gets the error. */
static void fill(struct slot_pool *p)
{
    struct cell c;
    struct err ignored;

    ignore(slots_fill_one(p->slots, p->target));
    if (cell_make(p, true, &c, &ignored) != 0) {
        pthread_mutex_lock(&p->lock);
        if (!p->is_closing)
            pthread_cond_wait(&p->wanted, &p->lock);
        pthread_mutex_unlock(&p->lock);
        return;
    }
    pthread_mutex_lock(&p->lock);
    p->cells[p->count++] = c;
    pthread_mutex_unlock(&p->lock);
}

static void *filler(void *ctx)
{
    struct slot_pool *p = ctx;

    ignore(setpriority(PRIO_PROCESS, (id_t)gettid(), FILLER_NICE)); /* a courtesy */
    while (wait_for_work(p))
        fill(p);
    return NULL;
}

int slot_pool_init(struct slot_pool *p, const struct slot_pool_config *config, struct err *err)
{
    *p = (struct slot_pool){.target = config->target < POOL_MAX ? config->target : POOL_MAX,
                            .wish = config->wish,
                            .cgroups = config->cgroups,
                            .slots = config->slots};
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wanted, NULL);
    ignore(snprintf(p->prefix, sizeof(p->prefix), "%s", config->prefix));
    id_text(p->run, RUN_LEN);
    p->cells = mem_array(p->target + 1, sizeof(*p->cells));
    if (thread_start(&p->thread, filler, p, err) != 0)
        return err_wrap(err, "pool");
    p->has_thread = true;
    return 0;
}

void slot_pool_done(struct slot_pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->is_closing = true;
    pthread_cond_broadcast(&p->wanted);
    pthread_mutex_unlock(&p->lock);
    if (p->has_thread)
        pthread_join(p->thread, NULL);
    while (p->count > 0)
        cell_free(p->cgroups, &p->cells[--p->count]);
    free(p->cells);
    pthread_cond_destroy(&p->wanted);
    pthread_mutex_destroy(&p->lock);
}

int slot_pool_take(struct slot_pool *p, struct cell *out, struct err *err)
{
    bool has_one;

    pthread_mutex_lock(&p->lock);
    has_one = p->count > 0;
    if (has_one)
        *out = p->cells[--p->count];
    pthread_cond_signal(&p->wanted);
    pthread_mutex_unlock(&p->lock);
    return has_one ? 0 : cell_make(p, true, out, err);
}

int slot_pool_take_groups(struct slot_pool *p, struct cell *out, struct err *err)
{
    return cell_make(p, false, out, err);
}

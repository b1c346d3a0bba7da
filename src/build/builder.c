/* SPDX-License-Identifier: Apache-2.0 */
/* See builder.h. */
#include "build/builder.h"

#include <stdlib.h>

#include "base/id.h"
#include "base/map.h"
#include "build/push_store.h"

/* A work is freed when its build ends, which its own functions cause: they find nothing but the
 * way out, so it is freed at the end of the turn. */
struct job {
    struct list_node node; /* in builder->endings */
    char id[UUID_LEN + 1];
    struct builder *builder;
    struct work *work;
    struct task ending;
};

struct builder {
    struct work_host host;
    struct map jobs; /* by id of the build */
    struct list endings;
};

static void job_free(struct job *j)
{
    list_remove(&j->node);
    task_cancel(&j->ending);
    work_free(j->work);
    free(j);
}

static void on_ending(void *ctx)
{
    job_free(ctx);
}

static void start(void *ctx, const struct build *b)
{
    struct builder *all = ctx;
    struct job *j = mem_zero(sizeof(*j));

    j->builder = all;
    ignore(str_to_c(b->r.id, j->id, sizeof(j->id))); /* ids of records fit */
    j->work = work_new(&all->host, b);
    map_put(&all->jobs, str_of(j->id), j);
}

static void stop(void *ctx, struct str build_id)
{
    struct builder *all = ctx;
    struct job *j = map_remove(&all->jobs, build_id);

    if (j == NULL)
        return;
    work_halt(j->work);
    list_push(&all->endings, &j->node);
    task_defer(all->host.loop, &j->ending, on_ending, j);
}

static void forget(void *ctx, struct str build_id)
{
    struct builder *all = ctx;

    push_store_forget(all->host.pushes, build_id);
}

static const struct build_runner runner = {start, stop, forget};

static bool keeps(void *ctx, struct str build_id)
{
    const struct builder *all = ctx;
    const struct build *b = build_find(all->host.domain, build_id);

    return b != NULL && !build_has_ended(b);
}

struct builder *builder_new(const struct work_host *host)
{
    struct builder *b = mem_zero(sizeof(*b));

    b->host = *host;
    build_set_runner(host->domain, &runner, b);
    push_store_sweep(b->host.pushes, keeps, b);
    return b;
}

void builder_free(struct builder *b)
{
    size_t cursor = 0;
    struct list_node *at;
    struct job *j;

    if (b == NULL)
        return;
    build_set_runner(b->host.domain, NULL, NULL);
    while ((j = map_next(&b->jobs, &cursor)) != NULL)
        job_free(j);
    while ((at = list_first(&b->endings)) != NULL)
        job_free(container_of(at, struct job, node));
    map_done(&b->jobs);
    free(b);
}

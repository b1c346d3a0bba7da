/* SPDX-License-Identifier: Apache-2.0 */
/* See worker_internal.h. A create whose answer did not come may have made a sandbox all the same,
 * at once or a while later. It carries a mark in its metadata: it is looked for, again and again
 * for some minutes, and killed. What is never found ends with its timeout. */
#include <stdio.h>

#include "base/id.h"
#include "base/log.h"
#include "worker/worker_internal.h"

enum {
    ORPHANS_MAX = 1024, /* looked for at once; the oldest gives way */
    FIRST_MS = 500,
    LAST_MS = 60 * 1000,
    TRIES = 10, /* five minutes in all */
};

const char orphan_mark[] = "iii.create";

struct orphan {
    struct list_node node;
    struct orphans *all;
    char mark[UUID_LEN + 1]; /* or an id */
    bool is_id;
    char id[BOX_ID_MAX + 1];
    unsigned tries;
    struct timer timer;
    struct listing *listing;
    struct upstream_call *call;
};

struct orphans {
    struct worker *worker;
    struct list all;
    size_t count;
};

static void try_now(void *ctx);

static void forget(struct orphan *o)
{
    list_remove(&o->node);
    o->all->count--;
    timer_stop(&o->timer);
    listing_cancel(o->listing);
    upstream_cancel(o->call);
    free(o);
}

static void try_later(struct orphan *o)
{
    uint64_t delay = (uint64_t)FIRST_MS << o->tries;

    if (++o->tries > TRIES) {
        if (o->is_id || o->id[0] != '\0')
            log_warn("orphan.kept", "sandbox=%s error=\"it cannot be killed\"", o->id);
        forget(o);
        return;
    }
    timer_start(o->all->worker->loop, &o->timer, delay < LAST_MS ? delay : LAST_MS, try_now, o);
}

static void on_killed(void *ctx, const struct upstream_answer *a)
{
    struct orphan *o = ctx;

    o->call = NULL;
    if ((a->status >= 200 && a->status < 300) || a->status == 404) {
        log_info("orphan.reaped", "sandbox=%s", o->id);
        forget(o);
        return;
    }
    try_later(o);
}

static void kill_it(struct orphan *o)
{
    struct worker *w = o->all->worker;
    char target[128] = "";
    struct upstream_ask ask = api_ask(w, "DELETE", target);

    ignore(snprintf(target, sizeof(target), "/sandboxes/%s", o->id));
    o->call = upstream_start(w->dialer, w->loop, &ask, on_killed, o);
}

static void on_item(void *ctx, const struct listed *item)
{
    const struct codec_pair *pairs = item->metadata.items;
    struct orphan *o = ctx;

    for (size_t i = 0; i < item->metadata.count; i++)
        if (str_is(pairs[i].key, orphan_mark) && str_is(pairs[i].value, o->mark))
            ignore(str_to_c(item->sandbox_id, o->id, sizeof(o->id))); /* checked: it fits */
}

static void on_end(void *ctx, bool is_whole)
{
    struct orphan *o = ctx;

    ignore(is_whole);
    o->listing = NULL;
    if (o->id[0] != '\0')
        kill_it(o);
    else
        try_later(o);
}

static void try_now(void *ctx)
{
    static const struct listing_events events = {on_item, on_end, NULL};
    struct orphan *o = ctx;
    char query[128];

    if (o->id[0] != '\0') {
        kill_it(o);
        return;
    }
    ignore(snprintf(query, sizeof(query), "?metadata=%s%%3D%s", orphan_mark, o->mark));
    o->listing = listing_start(o->all->worker, query, &events, o);
}

static struct orphan *add(struct orphans *all)
{
    struct orphan *o = mem_zero(sizeof(*o));

    if (all->count >= ORPHANS_MAX)
        forget(container_of(list_first(&all->all), struct orphan, node));
    o->all = all;
    list_push(&all->all, &o->node);
    all->count++;
    return o;
}

void orphans_find(struct orphans *all, const char *mark)
{
    struct orphan *o = add(all);

    ignore(snprintf(o->mark, sizeof(o->mark), "%s", mark));
    try_later(o);
}

void orphans_kill(struct orphans *all, const char *id)
{
    struct orphan *o = add(all);

    o->is_id = true;
    ignore(snprintf(o->id, sizeof(o->id), "%s", id));
    kill_it(o);
}

struct orphans *orphans_new(struct worker *w)
{
    struct orphans *all = mem_zero(sizeof(*all));

    all->worker = w;
    return all;
}

void orphans_free(struct orphans *all)
{
    struct list_node *n;

    if (all == NULL)
        return;
    while ((n = list_first(&all->all)) != NULL)
        forget(container_of(n, struct orphan, node));
    free(all);
}

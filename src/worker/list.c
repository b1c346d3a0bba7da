/* SPDX-License-Identifier: Apache-2.0 */
/* list, and what it does with what it sees: sandboxes of ours that the API does not have any more
 * give their slots back. The same is done now and then without being asked. */
#include "worker/worker_internal.h"

enum {
    RESULT_MAX = 32 << 20,
    RECONCILE_MS = 30 * 1000,
};

struct seen {
    struct list_node node;
    char id[BOX_ID_MAX + 1];
};

/* What is gathered of the pages. */
struct gathering {
    struct worker *worker;
    struct job *job; /* NULL: nobody asked */
    struct map ids;  /* struct seen */
    struct buf items;
    uint64_t births; /* when it was begun: what came later may be missing in it */
};

static void gathering_free(struct gathering *g)
{
    struct seen *s;
    size_t cursor = 0;

    while ((s = map_next(&g->ids, &cursor)) != NULL)
        free(s);
    map_done(&g->ids);
    buf_done(&g->items);
    free(g);
}

static void on_item(void *ctx, const struct listed *item)
{
    struct gathering *g = ctx;
    struct seen *s = mem_zero(sizeof(*s)), *old;

    ignore(str_to_c(item->sandbox_id, s->id, sizeof(s->id))); /* checked: it fits */
    old = map_put(&g->ids, str_of(s->id), s);
    if (old != NULL) { /* it moved to another page while we looked */
        free(old);
        return;
    }
    buf_add_text(&g->items, g->items.len == 0 ? "" : ",");
    buf_printf(&g->items, "{\"sandbox_id\":\"%s\",\"image\":", s->id);
    json_quote(&g->items, item->alias.len > 0 ? item->alias : item->template_id);
    buf_add_text(&g->items, ",\"started_at\":");
    json_quote(&g->items, item->started_at);
    buf_add_byte(&g->items, '}');
}

static void answer(struct job *j, const struct gathering *g, bool is_whole)
{
    const struct seats *s = &j->worker->seats;
    size_t used = seats_used(s);
    struct buf out;

    buf_init(&out, RESULT_MAX);
    buf_add_text(&out, "{\"sandboxes\":[");
    if (is_whole)
        buf_add_str(&out, buf_str(&g->items));
    buf_printf(&out, "],\"in_flight\":%zu,\"cap\":%llu,\"remaining\":%llu,\"reconciled\":%s}", used,
               (unsigned long long)s->max, (unsigned long long)(s->max - used),
               is_whole ? "true" : "false");
    job_done(j, &out);
}

static void on_end(void *ctx, bool is_whole)
{
    struct gathering *g = ctx;
    struct worker *w = g->worker;

    is_whole = is_whole && buf_ok(&g->items);
    if (is_whole)
        seats_keep_only(&w->seats, &g->ids, g->births);
    if (g->job != NULL) {
        g->job->listing = NULL;
        answer(g->job, g, is_whole);
    } else {
        w->reconciling = NULL;
        reconcile_start(w);
    }
    gathering_free(g);
}

static void on_cancel(void *ctx)
{
    gathering_free(ctx);
}

static const struct listing_events events = {on_item, on_end, on_cancel};

static struct gathering *begin(struct worker *w, struct job *j)
{
    struct gathering *g = mem_zero(sizeof(*g));

    g->worker = w;
    g->job = j;
    g->births = w->seats.births;
    buf_init(&g->items, RESULT_MAX);
    return g;
}

void run_list(struct job *j)
{
    j->listing = listing_start(j->worker, "", &events, begin(j->worker, j));
}

static void reconcile_now(void *ctx)
{
    struct worker *w = ctx;

    if (w->seats.boxes.count == 0)
        reconcile_start(w); /* nothing could be wrong */
    else
        w->reconciling = listing_start(w, "", &events, begin(w, NULL));
}

void reconcile_start(struct worker *w)
{
    timer_start(w->loop, &w->reconcile, RECONCILE_MS, reconcile_now, w);
}

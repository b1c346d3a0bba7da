/* SPDX-License-Identifier: Apache-2.0 */
/* See sampler.h. */
#include "node/sampler.h"

#include "base/map.h"
#include "node/peer.h"

struct seen {
    struct heap_node due; /* by monotonic time */
    char id[64];
    uint64_t cpu_us;
    uint64_t every_ms;
    uint64_t scan; /* number of the scan that saw it last */
};

struct sampler {
    struct node *node;
    struct map seen; /* by id */
    struct heap due;
    struct timer scan_timer, timer;
    uint64_t scan, count;
};

static void on_due(void *ctx);

static void seen_free(struct sampler *s, struct seen *one)
{
    heap_remove(&s->due, &one->due);
    map_remove(&s->seen, str_of(one->id));
    free(one);
}

static void arm(struct sampler *s, uint64_t least_ms)
{
    struct heap_node *first = heap_min(&s->due);
    uint64_t now = loop_now_ms(s->node->loop), delay = least_ms;

    if (first == NULL) {
        timer_stop(&s->timer);
        return;
    }
    if (first->key > now + least_ms)
        delay = first->key - now;
    timer_start(s->node->loop, &s->timer, delay, on_due, s);
}

static void tell(struct node *n, const struct node_usage *m)
{
    struct list *peers = &n->command.peers;
    struct list_node *next;

    for (struct list_node *i = list_first(peers); i != NULL; i = next) {
        next = list_next(peers, i);
        ignore(peer_send(container_of(i, struct peer, node), NODE_USAGE, m, -1));
    }
}

static void look(struct sampler *s, struct seen *one)
{
    struct sandbox_stats stats;
    struct node_usage m = {.id = str_of(one->id)};

    if (runtime_stats(s->node->runtime, one->id, &stats, NULL) != 0) {
        seen_free(s, one); /* it ended; the scan would see that later */
        return;
    }
    s->count++;
    m.cpu_us = stats.cpu_us;
    m.memory_bytes = stats.memory_bytes;
    m.memory_cache_bytes = stats.memory_cache_bytes;
    m.disk_bytes = stats.disk_bytes;
    m.pids = stats.pids;
    tell(s->node, &m);
    one->every_ms = stats.cpu_us != one->cpu_us ? SAMPLE_MS : one->every_ms * 2;
    if (one->every_ms > SAMPLE_IDLE_MS)
        one->every_ms = SAMPLE_IDLE_MS;
    one->cpu_us = stats.cpu_us;
    heap_put(&s->due, &one->due, loop_now_ms(s->node->loop) + one->every_ms);
}

static void on_due(void *ctx)
{
    struct sampler *s = ctx;
    struct heap_node *first;
    int left = SAMPLE_BATCH;

    while (left-- > 0 && (first = heap_min(&s->due)) != NULL &&
           first->key <= loop_now_ms(s->node->loop))
        look(s, container_of(first, struct seen, due));
    arm(s, SAMPLE_PAUSE_MS);
}

static void on_one(void *ctx, const char *id, enum runtime_state state)
{
    struct sampler *s = ctx;
    struct seen *one = map_get(&s->seen, str_of(id));

    if (state == RUNTIME_PAUSED)
        return; /* uses nothing but its disk, which does not change */
    if (one == NULL) {
        one = mem_zero(sizeof(*one));
        if (!str_to_c(str_of(id), one->id, sizeof(one->id))) {
            free(one); /* no id of ours is as long */
            return;
        }
        one->every_ms = SAMPLE_MS;
        map_put(&s->seen, str_of(one->id), one);
        heap_put(&s->due, &one->due, loop_now_ms(s->node->loop) + SAMPLE_FIRST_MS);
    }
    one->scan = s->scan;
}

/* With nobody to tell nothing is looked at. */
static void on_scan(void *ctx)
{
    struct sampler *s = ctx;
    size_t cursor = 0;
    struct seen *one;

    timer_start(s->node->loop, &s->scan_timer, SAMPLE_SCAN_MS, on_scan, s);
    s->scan++;
    if (list_first(&s->node->command.peers) != NULL)
        runtime_each(s->node->runtime, on_one, s);
    while ((one = map_next(&s->seen, &cursor)) != NULL)
        if (one->scan != s->scan)
            seen_free(s, one);
    arm(s, 0);
}

struct sampler *sampler_new(struct node *n)
{
    struct sampler *s = mem_zero(sizeof(*s));

    s->node = n;
    timer_start(n->loop, &s->scan_timer, SAMPLE_SCAN_MS, on_scan, s);
    return s;
}

void sampler_free(struct sampler *s)
{
    size_t cursor = 0;
    struct seen *one;

    if (s == NULL)
        return;
    timer_stop(&s->timer);
    timer_stop(&s->scan_timer);
    while ((one = map_next(&s->seen, &cursor)) != NULL)
        seen_free(s, one);
    map_done(&s->seen);
    heap_done(&s->due);
    free(s);
}

uint64_t sampler_count(const struct sampler *s)
{
    return s->count;
}

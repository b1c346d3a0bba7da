/* SPDX-License-Identifier: Apache-2.0 */
/* Series of sandboxes and teams. See metrics.h. */
#include "domain/metrics.h"

#include "base/clock.h"
#include "domain/domain_internal.h"
#include "domain/series.h"

enum sandbox_value {
    CPU, /* hundredths of a percent of all cores */
    MEMORY,
    CACHE, /* these in KiB */
    DISK,
};

enum team_value {
    CONCURRENT,
    RATE, /* thousandths of a start per second */
};

static const enum series_merge sandbox_merge[SERIES_VALUES] = {SERIES_MEAN, SERIES_LAST,
                                                               SERIES_LAST, SERIES_LAST};
static const enum series_merge team_merge[SERIES_VALUES] = {SERIES_HIGH, SERIES_MEAN, SERIES_LAST,
                                                            SERIES_LAST};

struct sandbox_series {
    char id[SANDBOX_KEY_MAX + 1];
    struct series series;
    uint64_t cpu_us; /* at the newest point */
    int64_t at_ms;
};

struct team_series {
    char id[64];
    struct series series;
    const struct team *team;
    uint32_t starts; /* since the newest point */
    uint32_t high;   /* most at once since then */
    uint32_t last;   /* at the newest point */
    int64_t at_ms;
};

struct metrics {
    struct domain *domain;
    struct map sandboxes, teams;
    struct timer timer;
};

static uint32_t kib(uint64_t bytes)
{
    return bytes >> 10 > UINT32_MAX ? UINT32_MAX : (uint32_t)(bytes >> 10);
}

/* Node and api see the same processor time; only its rate is computed, never kept twice. */
static uint32_t cpu_of(const struct sandbox_series *m, const struct sandbox *s,
                       const struct node_usage *u, int64_t now_ms)
{
    int64_t since = m->at_ms > 0 ? m->at_ms : s->r.started_at_ms;
    double cores = s->r.cpu_count > 0 ? s->r.cpu_count : 1;
    double used_ms = (double)(u->cpu_us - m->cpu_us) / 1000.0, share;

    if (now_ms <= since || u->cpu_us < m->cpu_us)
        return 0;
    share = used_ms / (double)(now_ms - since) / cores;
    return share > 1 ? 10000 : (uint32_t)(share * 10000 + 0.5);
}

void metrics_usage(struct domain *d, const struct node_usage *u)
{
    const struct sandbox *s = sandbox_find(d, u->id);
    struct sandbox_series *m = map_get(&d->metrics->sandboxes, u->id);
    int64_t now = clock_wall_ms();
    uint32_t values[SERIES_VALUES] = {
        [MEMORY] = kib(u->memory_bytes),
        [CACHE] = kib(u->memory_cache_bytes),
        [DISK] = kib(u->disk_bytes),
    };

    if (s == NULL || s->team == NULL || sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_NONE)
        return; /* it ends, or nobody owns it */
    if (m == NULL) {
        m = mem_zero(sizeof(*m));
        ignore(str_to_c(s->r.id, m->id, sizeof(m->id))); /* ids fit */
        series_init(&m->series, sandbox_merge);
        map_put(&d->metrics->sandboxes, str_of(m->id), m);
    }
    if (!series_wants(&m->series, now))
        return;
    values[CPU] = cpu_of(m, s, u, now);
    series_add(&m->series, now, values);
    m->cpu_us = u->cpu_us;
    m->at_ms = now;
}

static struct metrics_point point_of(const struct series *s, size_t index)
{
    const uint32_t *v = s->points[index].values;

    return (struct metrics_point){
        .at_ms = series_time(s, index),
        .cpu_percent = v[CPU] / 100.0,
        .memory_bytes = (uint64_t)v[MEMORY] << 10,
        .cache_bytes = (uint64_t)v[CACHE] << 10,
        .disk_bytes = (uint64_t)v[DISK] << 10,
    };
}

const struct metrics_point *metrics_sandbox(const struct domain *d, const struct sandbox *s,
                                            struct metrics_range range, struct arena *a,
                                            size_t *out_count)
{
    const struct sandbox_series *m = map_get(&d->metrics->sandboxes, s->r.id);
    size_t count = 0, room = m == NULL ? 0 : m->series.count;
    struct metrics_point *points = arena_array(a, room + 1, sizeof(*points));

    for (size_t i = room == 0 ? 0 : series_seek(&m->series, range.from_ms);
         points != NULL && i < room; i++) {
        if (range.until_ms > 0 && series_time(&m->series, i) > range.until_ms)
            break;
        points[count++] = point_of(&m->series, i);
    }
    *out_count = count;
    return points;
}

bool metrics_latest(const struct domain *d, const struct sandbox *s, struct metrics_point *out)
{
    const struct sandbox_series *m = map_get(&d->metrics->sandboxes, s->r.id);

    if (m == NULL || m->series.count == 0)
        return false;
    *out = point_of(&m->series, (size_t)m->series.count - 1);
    return true;
}

static int by_use(const void *a, const void *b)
{
    const struct metrics_point *x = &((const struct metrics_top *)a)->point;
    const struct metrics_point *y = &((const struct metrics_top *)b)->point;

    if (x->cpu_percent > y->cpu_percent || x->cpu_percent < y->cpu_percent)
        return x->cpu_percent > y->cpu_percent ? -1 : 1;
    if (x->memory_bytes != y->memory_bytes)
        return x->memory_bytes > y->memory_bytes ? -1 : 1;
    return 0;
}

const struct metrics_top *metrics_top(const struct domain *d, size_t limit, struct arena *a,
                                      size_t *out_count)
{
    const struct map *all = &d->metrics->sandboxes;
    struct metrics_top *list = mem_array(all->count + 1, sizeof(*list)), *top;
    size_t cursor = 0, count = 0;
    const struct sandbox_series *m;

    while ((m = map_next(all, &cursor)) != NULL) {
        list[count].sandbox = sandbox_find(d, str_of(m->id));
        if (list[count].sandbox != NULL && m->series.count > 0)
            list[count++].point = point_of(&m->series, (size_t)m->series.count - 1);
    }
    qsort(list, count, sizeof(*list), by_use);
    if (count > limit)
        count = limit;
    top = arena_array(a, count + 1, sizeof(*top));
    if (top != NULL && count > 0)
        memcpy(top, list, count * sizeof(*top));
    free(list);
    *out_count = count;
    return top;
}

/* Teams */

static void on_tick(void *ctx);

static struct team_series *team_of(struct domain *d, struct str team_id)
{
    struct metrics *all = d->metrics;
    struct team_series *m = map_get(&all->teams, team_id);
    const struct team *t = m == NULL ? team_find(d, team_id) : NULL;

    if (m != NULL || t == NULL)
        return m;
    m = mem_zero(sizeof(*m));
    ignore(str_to_c(team_id, m->id, sizeof(m->id))); /* a UUID */
    m->team = t;
    m->at_ms = clock_wall_ms();
    series_init(&m->series, team_merge);
    map_put(&all->teams, str_of(m->id), m);
    return m;
}

void metrics_note(struct domain *d, enum event_kind kind, struct str team_id, struct str subject)
{
    struct metrics *all = d->metrics;
    struct team_series *m;

    if (kind == EVENT_SANDBOX_KILLED) {
        struct sandbox_series *s = map_remove(&all->sandboxes, subject);

        if (s != NULL)
            series_done(&s->series);
        free(s);
    }
    if ((kind != EVENT_SANDBOX_CREATED && kind != EVENT_SANDBOX_KILLED) || team_id.len == 0 ||
        (m = team_of(d, team_id)) == NULL)
        return;
    m->starts += kind == EVENT_SANDBOX_CREATED;
    if (m->team->sandbox_count > m->high)
        m->high = (uint32_t)m->team->sandbox_count;
    if (!timer_running(&all->timer))
        timer_start(d->loop, &all->timer, METRICS_TEAM_MS, on_tick, all);
}

static bool tick(struct team_series *m, int64_t now)
{
    uint32_t count = (uint32_t)m->team->sandbox_count;
    uint32_t values[SERIES_VALUES] = {[CONCURRENT] = m->high > count ? m->high : count};
    bool has_changed = m->starts > 0 || values[CONCURRENT] != m->last;

    if (!series_wants(&m->series, now))
        return true;
    if (now > m->at_ms)
        values[RATE] = (uint32_t)((uint64_t)m->starts * 1000000 / (uint64_t)(now - m->at_ms));
    if (has_changed || count > 0)
        series_add(&m->series, now, values);
    m->at_ms = now;
    m->starts = 0;
    m->high = count;
    m->last = values[CONCURRENT];
    return has_changed || count > 0;
}

/* Runs as long as a team has sandboxes, and once more to see them gone. */
static void on_tick(void *ctx)
{
    struct metrics *all = ctx;
    int64_t now = clock_wall_ms();
    size_t cursor = 0;
    struct team_series *m;
    bool is_active = false;

    while ((m = map_next(&all->teams, &cursor)) != NULL)
        is_active |= tick(m, now);
    if (is_active)
        timer_start(all->domain->loop, &all->timer, METRICS_TEAM_MS, on_tick, all);
}

const struct team_point *metrics_team(const struct domain *d, const struct team *t,
                                      struct metrics_range range, struct arena *a,
                                      size_t *out_count)
{
    const struct team_series *m = map_get(&d->metrics->teams, t->r.id);
    size_t count = 0, room = m == NULL ? 0 : m->series.count;
    struct team_point *points = arena_array(a, room + 1, sizeof(*points));

    for (size_t i = room == 0 ? 0 : series_seek(&m->series, range.from_ms);
         points != NULL && i < room; i++) {
        const struct series_point *p = &m->series.points[i];

        if (range.until_ms > 0 && series_time(&m->series, i) > range.until_ms)
            break;
        points[count++] = (struct team_point){series_time(&m->series, i), p->values[CONCURRENT],
                                              p->values[RATE] / 1000.0};
    }
    *out_count = count;
    return points;
}

struct metrics *metrics_new(struct domain *d)
{
    struct metrics *m = mem_zero(sizeof(*m));

    m->domain = d;
    return m;
}

void metrics_free(struct metrics *m)
{
    size_t cursor = 0;
    struct sandbox_series *s;
    struct team_series *t;

    if (m == NULL)
        return;
    timer_stop(&m->timer);
    while ((s = map_next(&m->sandboxes, &cursor)) != NULL) {
        series_done(&s->series);
        free(s);
    }
    cursor = 0;
    while ((t = map_next(&m->teams, &cursor)) != NULL) {
        series_done(&t->series);
        free(t);
    }
    map_done(&m->sandboxes);
    map_done(&m->teams);
    free(m);
}

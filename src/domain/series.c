/* SPDX-License-Identifier: Apache-2.0 */
/* See series.h. */
#include "domain/series.h"

#include <assert.h>
#include <string.h>

#include "base/own.h"

enum {
    TICK_MS = 10, /* 32 bits of them are 497 days */
    ROOM_FIRST = 8,
};

void series_init(struct series *s, const enum series_merge merge[SERIES_VALUES])
{
    *s = (struct series){.merge = merge, .step_ms = SERIES_STEP_MS};
}

void series_done(struct series *s)
{
    free(s->points);
    s->points = NULL;
    s->count = s->room = 0;
}

int64_t series_time(const struct series *s, size_t index)
{
    assert(index < s->count);
    return s->origin_ms + (int64_t)s->points[index].at * TICK_MS;
}

bool series_wants(const struct series *s, int64_t at_ms)
{
    if (s->count == 0)
        return true;
    return at_ms - series_time(s, (size_t)s->count - 1) >= s->step_ms &&
           (at_ms - s->origin_ms) / TICK_MS <= UINT32_MAX;
}

static uint32_t merged(enum series_merge how, uint32_t a, uint32_t b)
{
    switch (how) {
    case SERIES_MEAN: return (uint32_t)(((uint64_t)a + b) / 2);
    case SERIES_HIGH: return a > b ? a : b;
    case SERIES_LAST: break;
    }
    return b;
}

static void halve(struct series *s)
{
    for (size_t i = 0; i + 1 < s->count; i += 2) {
        const struct series_point *a = &s->points[i], *b = &s->points[i + 1];
        struct series_point one = {.at = b->at};

        for (size_t v = 0; v < SERIES_VALUES; v++)
            one.values[v] = merged(s->merge[v], a->values[v], b->values[v]);
        s->points[i / 2] = one;
    }
    s->count /= 2;
    s->step_ms *= 2;
}

static void make_room(struct series *s)
{
    size_t room = s->room == 0 ? ROOM_FIRST : (size_t)s->room * 2;
    struct series_point *more;

    if (s->count == SERIES_MAX) {
        halve(s);
        return;
    }
    if (room > SERIES_MAX)
        room = SERIES_MAX;
    more = mem_array(room, sizeof(*more));
    if (s->count > 0)
        memcpy(more, s->points, s->count * sizeof(*more));
    free(s->points);
    s->points = more;
    s->room = (uint16_t)room;
}

void series_add(struct series *s, int64_t at_ms, const uint32_t values[SERIES_VALUES])
{
    struct series_point *p;

    if (!series_wants(s, at_ms))
        return;
    if (s->count == s->room)
        make_room(s);
    if (s->count == 0)
        s->origin_ms = at_ms;
    p = &s->points[s->count++];
    p->at = (uint32_t)((at_ms - s->origin_ms) / TICK_MS);
    memcpy(p->values, values, sizeof(p->values));
}

size_t series_seek(const struct series *s, int64_t at_ms)
{
    size_t low = 0, high = s->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (series_time(s, middle) < at_ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

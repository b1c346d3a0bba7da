/* SPDX-License-Identifier: Apache-2.0 */
/* Values over time in bounded memory: when all SERIES_MAX places are taken, each two neighbours
 * become one and the step doubles, so that a series covers its whole life, the finer the younger it
 * is. Users: metrics.c. */
#ifndef DOMAIN_SERIES_H
#define DOMAIN_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SERIES_MAX = 360,          /* points: half an hour at 5 s */
    SERIES_VALUES = 4,         /* of one point */
    SERIES_STEP_MS = 4 * 1000, /* least distance at first: a sample every 5 s may come early */
};

/* What two neighbours become. */
enum series_merge {
    SERIES_LAST,
    SERIES_MEAN,
    SERIES_HIGH,
};

struct series_point {
    uint32_t at; /* in 10 ms since origin_ms */
    uint32_t values[SERIES_VALUES];
};

struct series {
    const enum series_merge *merge; /* SERIES_VALUES of them */
    struct series_point *points;
    uint16_t count, room;
    uint32_t step_ms;
    int64_t origin_ms;
};

void series_init(struct series *s, const enum series_merge merge[SERIES_VALUES]);
void series_done(struct series *s);
/* Is it time for another point? Time that goes back is not. */
bool series_wants(const struct series *s, int64_t at_ms);
void series_add(struct series *s, int64_t at_ms, const uint32_t values[SERIES_VALUES]);
int64_t series_time(const struct series *s, size_t index);
/* Index of the first point at or after `at_ms`. */
size_t series_seek(const struct series *s, int64_t at_ms);

#endif

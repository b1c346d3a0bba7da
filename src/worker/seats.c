/* SPDX-License-Identifier: Apache-2.0 */
/* See seats.h. */
#include "worker/seats.h"

#include <assert.h>

static void forget(struct box *b)
{
    explicit_bzero(b, sizeof(*b)); /* tokens */
    free(b);
}

void seats_done(struct seats *s)
{
    struct box *b;
    size_t cursor = 0;

    while ((b = map_next(&s->boxes, &cursor)) != NULL)
        forget(b);
    map_done(&s->boxes);
}

size_t seats_used(const struct seats *s)
{
    return s->boxes.count + s->pending;
}

bool seats_reserve(struct seats *s)
{
    if (seats_used(s) >= s->max)
        return false;
    s->pending++;
    return true;
}

void seats_give_back(struct seats *s)
{
    assert(s->pending > 0);
    s->pending--;
}

struct box *seats_take(struct seats *s, const struct box *b)
{
    struct box *own = mem_zero(sizeof(*own)), *old;

    seats_give_back(s);
    *own = *b;
    own->order = s->births++;
    old = map_put(&s->boxes, str_of(own->id), own);
    if (old != NULL)
        forget(old); /* an API that gives an id twice */
    return own;
}

struct box *seats_find(const struct seats *s, struct str id)
{
    return map_get(&s->boxes, id);
}

void seats_end(struct seats *s, struct str id)
{
    struct box *b = map_remove(&s->boxes, id);

    if (b != NULL)
        forget(b);
}

void seats_keep_only(struct seats *s, const struct map *ids, uint64_t births)
{
    struct box *b;
    size_t cursor = 0;

    while ((b = map_next(&s->boxes, &cursor)) != NULL) {
        if (b->order >= births || map_get(ids, str_of(b->id)) != NULL)
            continue;
        map_remove(&s->boxes, str_of(b->id));
        forget(b);
    }
}

bool box_id_is_good(struct str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (!((id.at[i] >= 'a' && id.at[i] <= 'z') || (id.at[i] >= 'A' && id.at[i] <= 'Z') ||
              (id.at[i] >= '0' && id.at[i] <= '9') || id.at[i] == '-' || id.at[i] == '_'))
            return false;
    return id.len > 0 && id.len <= BOX_ID_MAX;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The ordered index of a team's sandboxes. Written by sandbox_move(), read by sandbox_query.c. */
#include "domain/sandbox_index.h"

#include <assert.h>

#include "domain/domain_internal.h"

static int compare(const struct sandbox *s, int64_t started_at_ms, struct str id)
{
    size_t len = s->r.id.len < id.len ? s->r.id.len : id.len;
    int order;

    if (s->r.started_at_ms != started_at_ms)
        return s->r.started_at_ms < started_at_ms ? -1 : 1;
    order = len == 0 ? 0 : memcmp(s->r.id.at, id.at, len);
    if (order != 0)
        return order;
    return s->r.id.len < id.len ? -1 : s->r.id.len > id.len;
}

size_t sandbox_index_seek(const struct team *t, int64_t started_at_ms, struct str id)
{
    size_t low = 0, high = t->sandbox_count;

    if (high > 0 && compare(t->sandboxes[high - 1], started_at_ms, id) < 0)
        return high; /* the usual insert: newest */
    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (compare(t->sandboxes[middle], started_at_ms, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void insert(struct team *t, struct sandbox *s)
{
    size_t at = sandbox_index_seek(t, s->r.started_at_ms, s->r.id);

    if (t->sandbox_count == t->sandbox_room) {
        size_t room = t->sandbox_room == 0 ? 16 : t->sandbox_room * 2;
        struct sandbox **more = mem_array(room, sizeof(struct sandbox *));

        if (t->sandbox_count > 0)
            memcpy(more, t->sandboxes, t->sandbox_count * sizeof(struct sandbox *));
        free(t->sandboxes);
        t->sandboxes = more;
        t->sandbox_room = room;
    }
    memmove(t->sandboxes + at + 1, t->sandboxes + at,
            (t->sandbox_count - at) * sizeof(struct sandbox *));
    t->sandboxes[at] = s;
    t->sandbox_count++;
    s->is_indexed = true;
}

static void drop(struct team *t, struct sandbox *s)
{
    size_t at;

    assert(t != NULL); /* its team leaves later than it */
    at = sandbox_index_seek(t, s->r.started_at_ms, s->r.id);
    assert(at < t->sandbox_count && t->sandboxes[at] == s);
    t->sandbox_count--;
    memmove(t->sandboxes + at, t->sandboxes + at + 1,
            (t->sandbox_count - at) * sizeof(struct sandbox *));
    s->is_indexed = false;
}

void sandbox_index_set(struct sandbox *s)
{
    bool shows = sandbox_state_row(s->state)->shown != SANDBOX_PUBLIC_NONE && s->team != NULL;

    if (shows && !s->is_indexed)
        insert(s->team, s);
    if (!shows && s->is_indexed)
        drop(s->team, s);
}

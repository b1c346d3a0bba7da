/* SPDX-License-Identifier: Apache-2.0 */
/* One walk over a team's index per list call. Called by api/sandbox_list.c. */
#include "domain/sandbox_query.h"

#include "base/clock.h"
#include "domain/domain_internal.h"
#include "domain/metadata.h"
#include "domain/sandbox_index.h"
#include "domain/template.h"

struct walk {
    const struct sandbox_query *query;
    const struct template *template;
    int64_t now_ms;
    size_t seek;   /* place of the cursor, or of what follows it */
    bool is_exact; /* the sandbox of the cursor is still there */
};

static bool is_of_template(const struct walk *w, const struct sandbox *s)
{
    struct str ref = w->query->template_ref;

    if (ref.len == 0)
        return true;
    if (w->template != NULL && str_eq(w->template->r.id, s->r.template_id))
        return true;
    return str_eq(ref, s->r.template_id) || str_eq(ref, s->r.alias);
}

/* Everything but state and cursor. */
static bool passes(const struct walk *w, const struct sandbox *s)
{
    if (!sandbox_is_shown(s, w->now_ms))
        return false;
    if (s->r.started_at_ms < w->query->started_after_ms)
        return false;
    return is_of_template(w, s) && metadata_matches(&s->r.metadata, &w->query->metadata);
}

static bool is_behind_cursor(const struct walk *w, size_t place)
{
    if (w->query->is_ascending)
        return place >= w->seek + w->is_exact;
    return place < w->seek;
}

static void find_cursor(struct walk *w, const struct team *t)
{
    const struct sandbox_query *q = w->query;

    w->seek = sandbox_index_seek(t, q->cursor_ms, q->cursor_id);
    w->is_exact = w->seek < t->sandbox_count &&
                  t->sandboxes[w->seek]->r.started_at_ms == q->cursor_ms &&
                  str_eq(t->sandboxes[w->seek]->r.id, q->cursor_id);
}

int sandbox_query(const struct domain *d, const struct team *t, const struct sandbox_query *q,
                  struct arena *a, struct sandbox_page *out, struct err *err)
{
    size_t room = q->limit == 0 || q->limit > t->sandbox_count ? t->sandbox_count : q->limit;
    struct walk walk = {q, NULL, clock_wall_ms(), 0, false};
    struct sandbox_page page = {0};

    if (q->template_ref.len > 0)
        walk.template = template_by_name(d, q->template_ref);
    page.items = arena_array(a, room + 1, sizeof(struct sandbox *));
    if (page.items == NULL)
        return err_set(err, ERR_LIMIT, "too many sandboxes for one answer");
    if (q->has_cursor)
        find_cursor(&walk, t);

    for (size_t i = 0; i < t->sandbox_count; i++) {
        size_t place = q->is_ascending ? i : t->sandbox_count - 1 - i;
        const struct sandbox *s = t->sandboxes[place];
        bool is_running = sandbox_state_row(s->state)->shown == SANDBOX_PUBLIC_RUNNING;

        if (!passes(&walk, s))
            continue;
        page.running_total += is_running;
        if (is_running ? !q->shows_running : !q->shows_paused)
            continue;
        if (q->has_cursor && !is_behind_cursor(&walk, place))
            continue;
        if (page.count < room)
            page.items[page.count++] = s;
        else
            page.has_more = true;
    }
    *out = page;
    return 0;
}

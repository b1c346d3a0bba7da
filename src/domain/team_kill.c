/* SPDX-License-Identifier: Apache-2.0 */
/* The end of all that a team runs, for operators; see team.h. Called by api/team_admin.c. */
#include "domain/domain_internal.h"
#include "domain/sandbox.h"

struct killing {
    struct list_node node;       /* in domain->team_kills */
    size_t left, killed, failed; /* left: kills that have not ended, and one for the walk */
    team_killed_fn *fn;
    void *ctx;
};

static void count_down(struct killing *k)
{
    if (--k->left > 0)
        return;
    list_remove(&k->node);
    k->fn(k->ctx, k->killed, k->failed);
    free(k);
}

static void on_killed(void *ctx, const struct sandbox *s, const struct err *err)
{
    struct killing *k = ctx;

    ignore(s == NULL);
    k->killed += err == NULL;
    k->failed += err != NULL;
    count_down(k);
}

void team_kill_all(struct domain *d, const struct team *t, team_killed_fn *fn, void *ctx)
{
    struct killing *k = mem_zero(sizeof(*k));
    size_t count = t->sandbox_count;
    char(*ids)[SANDBOX_KEY_MAX + 1] = mem_array(count + 1, sizeof(*ids));

    /* A kill takes its sandbox out of the team's list, so the list is not walked by it. */
    for (size_t i = 0; i < count; i++)
        ignore(str_to_c(t->sandboxes[i]->r.id, ids[i], sizeof(ids[i]))); /* ids always fit */
    k->fn = fn;
    k->ctx = ctx;
    k->left = 1;
    list_push(&d->team_kills, &k->node);
    for (size_t i = 0; i < count; i++) {
        k->left++;
        if (sandbox_kill(d, t, str_of(ids[i]), on_killed, k, NULL) != 0)
            k->left--; /* it ended by itself meanwhile */
    }
    free(ids);
    count_down(k);
}

size_t team_running_count(const struct team *t)
{
    size_t count = 0;

    for (size_t i = 0; i < t->sandbox_count; i++)
        count += sandbox_state_row(t->sandboxes[i]->state)->shown == SANDBOX_PUBLIC_RUNNING;
    return count;
}

void team_kill_done(struct domain *d)
{
    struct list_node *at;

    while ((at = list_pop(&d->team_kills)) != NULL)
        free(container_of(at, struct killing, node));
}

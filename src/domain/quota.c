/* SPDX-License-Identifier: Apache-2.0 */
/* Reservation of a team's sandbox slots. Used by create, kill and start-up. */
#include "domain/quota.h"

#include <assert.h>

#include "domain/domain_internal.h"

uint64_t quota_max(const struct domain *d, const struct team *t)
{
    return t->r.sandboxes_max > 0 ? (uint64_t)t->r.sandboxes_max : d->config.team_sandboxes_max;
}

int quota_take(struct domain *d, struct sandbox *s, struct err *err)
{
    uint64_t max = quota_max(d, s->team);

    if (s->team->slots_used >= max)
        return err_set(err, ERR_LIMIT,
                       "you have reached the maximum number of concurrent E2B sandboxes (%llu). If "
                       "you need more, please visit 'https://e2b.dev/docs/billing'",
                       (unsigned long long)max);
    quota_force(s);
    return 0;
}

void quota_force(struct sandbox *s)
{
    assert(!s->has_slot);
    s->team->slots_used++;
    s->has_slot = true;
}

void quota_give_back(struct sandbox *s)
{
    if (!s->has_slot)
        return;
    assert(s->team->slots_used > 0);
    s->team->slots_used--;
    s->has_slot = false;
}

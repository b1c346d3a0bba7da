/* SPDX-License-Identifier: Apache-2.0 */
/* See pace.h. Used by relay.c. */
#include "io/pace.h"

enum { OVERDRAFT_MAX = 1 << 30 }; /* bytes; no read comes near it */

bool pace_ready(struct pace *p, uint64_t now_ms)
{
    int64_t burst = (int64_t)(p->bytes_per_s / 1000 * PACE_BURST_MS) + 1;
    uint64_t passed_ms = now_ms - p->at_ms, gained;

    if (p->bytes_per_s == 0)
        return true;
    if (p->at_ms == 0 || passed_ms > PACE_WAIT_MAX_MS)
        passed_ms = PACE_WAIT_MAX_MS;
    gained = passed_ms * p->bytes_per_s / 1000;
    if (gained > 0) { /* else the time is kept until it is worth a byte */
        p->left += (int64_t)gained;
        p->at_ms = now_ms;
    }
    if (p->left > burst)
        p->left = burst;
    return p->left > 0;
}

void pace_spend(struct pace *p, uint64_t bytes)
{
    if (p->bytes_per_s == 0)
        return;
    p->left -= bytes > OVERDRAFT_MAX ? OVERDRAFT_MAX : (int64_t)bytes;
    if (p->left < -OVERDRAFT_MAX)
        p->left = -OVERDRAFT_MAX;
}

uint64_t pace_wait_ms(const struct pace *p)
{
    uint64_t missing = p->left > 0 ? 0 : (uint64_t)-p->left + 1;
    uint64_t wait_ms = p->bytes_per_s == 0 ? 0 : missing * 1000 / p->bytes_per_s + 1;

    return wait_ms > PACE_WAIT_MAX_MS ? PACE_WAIT_MAX_MS : wait_ms;
}

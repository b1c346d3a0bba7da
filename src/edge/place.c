/* SPDX-License-Identifier: Apache-2.0 */
/* Where a loop runs; see place.h. */
#include "edge/place.h"

#include <sched.h>

/* For now: afterwards it may run wherever it was allowed to, but as long as nobody needs this
 * processor more, the scheduler leaves it there. */
static void move_to(int cpu)
{
    cpu_set_t allowed, one;

    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0 || !CPU_ISSET((size_t)cpu, &allowed))
        return;
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) == 0)
        ignore(sched_setaffinity(0, sizeof allowed, &allowed)); /* it just was that */
}

void place_follow(struct place *p, const struct exchange *x, uint64_t now_ms)
{
    int cpu;

    if (++p->requests % PLACE_EVERY != 0)
        return;
    cpu = exchange_cpu(x);
    if (cpu < 0 || cpu >= CPU_SETSIZE || cpu == sched_getcpu()) {
        p->away = 0;
        return;
    }
    if (++p->away < PLACE_AFTER || now_ms - p->moved_ms < PLACE_PAUSE_MS)
        return;
    p->away = 0;
    p->moved_ms = now_ms;
    move_to(cpu);
}

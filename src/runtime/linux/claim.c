/* SPDX-License-Identifier: Apache-2.0 */
/* A start takes a sandbox that was launched ahead (warm.c). What a launch does with the request is
 * done now, as a table of steps; there is nothing to undo in them, as what they made is freed with
 * the sandbox. Whatever goes wrong, the start does not fail by it: it is launched as any other. */
#include "runtime/linux/driver_internal.h"

static int space_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    return launch_space_check(s->driver, err);
}

static int limits_run(void *ctx, struct err *err)
{
    struct guest *s = ctx;

    cgroup_set_aside(&s->driver->cgroups, s->cell.cgroup, false);
    return cgroup_limit(&s->driver->cgroups, s->cell.cgroup, &s->limits, err);
}

static int file_size_run(void *ctx, struct err *err)
{
    return process_limit_files(ctx, err);
}

static int hostname_run(void *ctx, struct err *err)
{
    return process_rename(ctx, err);
}

static int request_run(void *ctx, struct err *err)
{
    return process_send_init(ctx, err);
}

static const struct step claim[] = {
    {"claim space",     space_run,     NULL},
    {"claim limits",    limits_run,    NULL},
    {"claim file size", file_size_run, NULL},
    {"claim hostname",  hostname_run,  NULL},
    {"claim request",   request_run,   NULL},
};

const char *const claim_step_names[] = {"claim space",    "claim limits",  "claim file size",
                                        "claim hostname", "claim request", NULL};

_Static_assert(COUNT_OF(claim_step_names) == COUNT_OF(claim) + 1, "a name for each step");

/* Nobody's again, and not to be trusted with another. */
static void give_back(struct guest *warm, struct guest *asked)
{
    guest_hand_over(warm, asked);
    warm_was_bad(warm->driver);
    lifecycle_discard(warm);
}

bool claim_begin(struct guest *warm, struct guest *asked)
{
    struct linux_driver *d = warm->driver;
    struct steps steps = {
        .rows = claim, .count = COUNT_OF(claim), .ctx = warm, .fail_at = d->fail_step};
    struct err why;

    warm_service_leave(warm);
    guest_hand_over(asked, warm);
    if (steps_run(&steps, steps.count, &why) != 0) {
        give_back(warm, asked);
        return false;
    }
    places_leave_stack(&d->places, &asked->layers); /* the other one holds them too */
    guest_free(asked);
    warm->is_ahead = false;
    warm->is_claimed = true;
    warm->steps.fail_at = d->fail_step;
    ignore(map_put(&d->sandboxes, str_of(warm->id), warm) != NULL); /* the caller has looked */
    lifecycle_expect(warm, CLAIM_TIMEOUT_MS);
    return true;
}

bool claim_give_up(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct guest *again;

    if (!s->is_claimed || s->err.kind == ERR_INVALID)
        return false; /* a refused request would be refused again */
    ignore(map_remove(&d->sandboxes, str_of(s->id)) != NULL); /* it is s */
    again = guest_new(d, s->id);
    state_remove(s); /* now: the other one will write its own */
    give_back(s, again);
    lifecycle_launch(again);
    return true;
}

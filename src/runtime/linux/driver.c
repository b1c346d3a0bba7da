/* SPDX-License-Identifier: Apache-2.0 */
/* The linux driver: sandboxes made of namespaces, cgroups and an overlay. This file is the front,
 * on the loop's thread; lifecycle.c has what happens later, creator.c and reaper.c the threads. */
#include "runtime/driver.h"

#include "runtime/linux/driver_internal.h"

static size_t linux_count(const void *self);

/* Its files: those of the spec, or of a snapshot. */
static int fill_layers(struct guest *s, const struct sandbox_spec *spec, struct err *err)
{
    if (spec->snapshot != NULL)
        return shelf_take(s, spec->snapshot, spec->is_cold, err);
    for (const char *const *layer = spec->layers; layer != NULL && *layer != NULL; layer++)
        stack_add(&s->layers, *layer);
    places_hold_stack(&s->driver->places, &s->layers);
    return 0;
}

/* What a step of a build starts from is not asked for again; a restored one has its processes. */
static bool may_be_warm(const struct guest *s)
{
    return !s->is_restored && !(s->is_cold && s->layers.count > 0);
}

static void linux_start(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn,
                        void *ctx)
{
    struct linux_driver *d = self;
    struct err err = {0};
    struct guest *s, *warm;

    if (map_get(&d->sandboxes, str_of(spec->id)) != NULL)
        ignore(err_set(&err, ERR_EXISTS, "start %s: already there", spec->id));
    else if (linux_count(d) >= d->sandboxes_max)
        ignore(err_set(&err, ERR_LIMIT, "start %s: %zu sandboxes are the most this node runs",
                       spec->id, d->sandboxes_max));
    if (err.kind != ERR_NONE) {
        answers_started(&d->answers, spec->id, &err, fn, ctx);
        return;
    }
    s = guest_asked(d, spec);
    if (fill_layers(s, spec, &err) != 0) {
        ignore(err_wrap(&err, "start %s", spec->id));
        answers_started(&d->answers, spec->id, &err, fn, ctx);
        guest_free(s);
        return;
    }
    s->on_started = fn;
    s->started_ctx = ctx;
    d->starting++;
    warm = may_be_warm(s) ? warm_take(d, s) : NULL;
    if (warm == NULL || !claim_begin(warm, s))
        lifecycle_launch(s);
}

static void linux_stop(void *self, const char *id, runtime_stopped_fn *fn, void *ctx)
{
    struct linux_driver *d = self;
    struct guest *s = map_get(&d->sandboxes, str_of(id));
    struct err err = {0};

    if (s == NULL) {
        ignore(err_set(&err, ERR_NOT_FOUND, "stop %s: no such sandbox", id));
        answers_stopped(&d->answers, id, &err, fn, ctx);
        return;
    }

    struct stop_waiter *w = mem_zero(sizeof(*w));

    w->fn = fn;
    w->ctx = ctx;
    list_push(&s->stops, &w->node);
    lifecycle_stop(s);
}

static struct guest *not_running(const char *id, const char *verb, bool is_paused, struct err *err)
{
    if (is_paused)
        ignore(err_set(err, ERR_CONFLICT, "%s %s: it is paused", verb, id));
    else
        ignore(err_set(err, ERR_NOT_FOUND, "%s %s: no such sandbox", verb, id));
    return NULL;
}

static struct guest *find_running(struct linux_driver *d, const char *id, const char *verb,
                                  struct err *err)
{
    struct guest *s = map_get(&d->sandboxes, str_of(id));

    if (s == NULL)
        return not_running(id, verb, false, err);
    if (asleep_is_paused(s))
        return not_running(id, verb, true, err);
    if (s->state == SANDBOX_RUNNING || s->state == SANDBOX_SAVING)
        return s;
    return not_running(id, verb, false, err);
}

static int linux_connect(void *self, const char *id, uint16_t port, int *out_fd, struct err *err)
{
    struct linux_driver *d = self;
    const struct guest *s = find_running(d, id, "connect", err);

    if (s == NULL)
        return -1;
    if (netns_connect(&d->wish, s->cell.net.fd, port, out_fd, err) != 0)
        return err_wrap(err, "connect %s", id);
    return 0;
}

static int linux_stats(void *self, const char *id, struct sandbox_stats *out, struct err *err)
{
    struct linux_driver *d = self;
    struct guest *s = find_running(d, id, "stats", err);

    if (s == NULL)
        return -1;
    cgroup_stats(&d->cgroups, s->cell.cgroup, out);
    out->disk_bytes = atomic_load(&s->disk.bytes);
    return 0;
}

static int linux_outlet(void *self, const char *id, struct runtime_outlet *out, struct err *err)
{
    struct linux_driver *d = self;
    struct guest *s = find_running(d, id, "outlet", err);

    if (s == NULL)
        return -1;
    if (s->state == SANDBOX_SAVING && s->saving.work == RUNTIME_RESUME) /* the saver's still */
        return err_set(err, ERR_NOT_FOUND, "outlet %s: it is being resumed", id);
    if (!d->wish.is_outward)
        return err_set(err, ERR_UNSUPPORTED, "outlet %s: sandboxes have no way out here", id);
    if (netns_outlet(&d->wish, &s->cell.net, out, err) != 0)
        return err_wrap(err, "outlet %s", id);
    return 0;
}

static void linux_each(void *self, runtime_each_fn *fn, void *ctx)
{
    struct linux_driver *d = self;
    size_t cursor = 0;
    struct guest *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        if (s->state == SANDBOX_SAVING && s->saving.work == RUNTIME_PAUSE)
            fn(ctx, s->id, RUNTIME_PAUSING);
        else if (s->state == SANDBOX_RUNNING || s->state == SANDBOX_SAVING)
            fn(ctx, s->id, RUNTIME_RUNNING);
        else if (asleep_is_paused(s))
            fn(ctx, s->id, RUNTIME_PAUSED);
    }
}

static bool linux_is_frozen(const void *self, const char *id)
{
    const struct linux_driver *d = self;
    const struct guest *s = map_get(&d->sandboxes, str_of(id));

    return s != NULL && s->state == SANDBOX_HOT && s->is_frozen;
}

static size_t linux_count(const void *self)
{
    const struct linux_driver *d = self;
    size_t count = 0, cursor = 0;
    const struct guest *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL)
        count += !asleep_is_paused(s);
    return count;
}

static size_t linux_features(void *self, const struct runtime_feature **out)
{
    struct linux_driver *d = self;

    *out = d->host.features;
    return d->host.feature_count;
}

static const char *const *linux_step_names(const void *self)
{
    (void)self;
    return launch_step_names;
}

static const char *const *linux_claim_step_names(const void *self)
{
    (void)self;
    return claim_step_names;
}

static void linux_ahead(const void *self, struct runtime_ahead *out)
{
    const struct linux_driver *d = self;

    *out = (struct runtime_ahead){.ready = warm_count(d),
                                  .serving = warm_serving(d),
                                  .claimed = d->warm.claimed,
                                  .spoiled = d->warm.spoiled};
}

static void linux_capabilities(const void *self, struct runtime_capabilities *out)
{
    const struct linux_driver *d = self;

    *out = (struct runtime_capabilities){.can_snapshot_files = true,
                                         .can_checkpoint = d->criu != NULL,
                                         .reason = d->criu_err.text,
                                         .criu = d->criu};
}

static const char *const *linux_work_step_names(const void *self, enum runtime_work work)
{
    const struct linux_driver *d = self;

    if (work == RUNTIME_PAUSE)
        return pause_step_names;
    if (work == RUNTIME_SNAPSHOT)
        return snapshot_step_names;
    return d->criu != NULL ? restore_step_names : launch_step_names;
}

static bool is_name_of(const char *const *names, const char *step)
{
    while (*names != NULL && strcmp(*names, step) != 0)
        names++;
    return *names != NULL;
}

static void linux_fail_step(void *self, const char *step)
{
    const char *const *const others[] = {restore_step_names, pause_step_names, snapshot_step_names};
    struct linux_driver *d = self;

    d->fail_step = NULL;
    for (const char *const *name = launch_step_names; *name != NULL; name++) {
        if (strcmp(*name, step) == 0)
            d->fail_step = *name;
    }
    if (d->fail_step != NULL || step[0] == '\0')
        warm_flush(d); /* they were launched when it did not fail, or made to wait by failing */
    if (is_name_of(restore_step_names, step))
        asleep_cool_all(d); /* none of those would be restored */
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        for (const char *const *name = others[i]; *name != NULL; name++) {
            if (strcmp(*name, step) == 0)
                d->fail_step = *name;
        }
    }
    for (const char *const *name = claim_step_names; *name != NULL; name++) {
        if (strcmp(*name, step) == 0)
            d->fail_step = *name;
    }
}

const struct runtime_driver runtime_linux_driver = {
    .name = "linux",
    .open = driver_open,
    .close = driver_close,
    .start = linux_start,
    .stop = linux_stop,
    .has_layers = true,
    .pause = asleep_pause,
    .resume = asleep_resume,
    .snapshot = asleep_snapshot,
    .snapshot_remove = shelf_remove,
    .each_snapshot = shelf_each,
    .capabilities = linux_capabilities,
    .work_step_names = linux_work_step_names,
    .connect = linux_connect,
    .stats = linux_stats,
    .outlet = linux_outlet,
    .each = linux_each,
    .count = linux_count,
    .is_frozen = linux_is_frozen,
    .features = linux_features,
    .ahead = linux_ahead,
    .step_names = linux_step_names,
    .claim_step_names = linux_claim_step_names,
    .fail_step = linux_fail_step,
};

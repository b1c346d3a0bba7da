/* SPDX-License-Identifier: Apache-2.0 */
/* The linux driver: sandboxes made of namespaces, cgroups and an overlay. This file is the front,
 * on the loop's thread; lifecycle.c has what happens later, creator.c and reaper.c the threads. */
#include "runtime/driver.h"

#include "base/clock.h"
#include "runtime/linux/driver_internal.h"
#include "runtime/linux/outward.h"

static struct guest *guest_asked(struct linux_driver *d, const struct sandbox_spec *spec)
{
    struct guest *s = guest_new(d, spec->id);

    s->asked_us = clock_mono_us();
    s->rootfs = mem_text(spec->rootfs);
    s->hostname = mem_text(spec->hostname);
    s->init = mem_zero(spec->init.len + 1);
    s->init_len = spec->init.len;
    if (spec->init.len > 0)
        memcpy(s->init, spec->init.at, spec->init.len);
    s->limits = spec->limits;
    return s;
}

static void linux_start(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn,
                        void *ctx)
{
    struct linux_driver *d = self;
    struct err err = {0};
    struct guest *s, *warm;

    if (map_get(&d->sandboxes, str_of(spec->id)) != NULL)
        ignore(err_set(&err, ERR_EXISTS, "start %s: already there", spec->id));
    else if (d->sandboxes.count >= d->sandboxes_max)
        ignore(err_set(&err, ERR_LIMIT, "start %s: %zu sandboxes are the most this node runs",
                       spec->id, d->sandboxes_max));
    if (err.kind != ERR_NONE) {
        answers_started(&d->answers, spec->id, &err, fn, ctx);
        return;
    }
    s = guest_asked(d, spec);
    s->on_started = fn;
    s->started_ctx = ctx;
    d->starting++;
    warm = warm_take(d, spec);
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

static struct guest *find_running(struct linux_driver *d, const char *id)
{
    struct guest *s = map_get(&d->sandboxes, str_of(id));

    return s != NULL && s->state == SANDBOX_RUNNING ? s : NULL;
}

static int linux_connect(void *self, const char *id, uint16_t port, int *out_fd, struct err *err)
{
    struct linux_driver *d = self;
    const struct guest *s = find_running(d, id);

    if (s == NULL)
        return err_set(err, ERR_NOT_FOUND, "connect %s: no such sandbox", id);
    if (netns_connect(&d->wish, s->cell.net.fd, port, out_fd, err) != 0)
        return err_wrap(err, "connect %s", id);
    return 0;
}

static int linux_stats(void *self, const char *id, struct sandbox_stats *out, struct err *err)
{
    struct linux_driver *d = self;
    struct guest *s = find_running(d, id);

    if (s == NULL)
        return err_set(err, ERR_NOT_FOUND, "stats %s: no such sandbox", id);
    cgroup_stats(&d->cgroups, s->cell.cgroup, out);
    out->disk_bytes = atomic_load(&s->disk.bytes);
    return 0;
}

static int linux_outlet(void *self, const char *id, struct runtime_outlet *out, struct err *err)
{
    struct linux_driver *d = self;
    const struct guest *s = find_running(d, id);

    if (s == NULL)
        return err_set(err, ERR_NOT_FOUND, "outlet %s: no such sandbox", id);
    if (!d->wish.is_outward)
        return err_set(err, ERR_UNSUPPORTED, "outlet %s: sandboxes have no way out here", id);
    if (outward_open_in(d->wish.host_fd, s->cell.net.fd, out, err) != 0)
        return err_wrap(err, "outlet %s", id);
    return 0;
}

static void linux_each(void *self, runtime_each_fn *fn, void *ctx)
{
    struct linux_driver *d = self;
    size_t cursor = 0;
    struct guest *s;

    while ((s = map_next(&d->sandboxes, &cursor)) != NULL) {
        if (s->state == SANDBOX_RUNNING)
            fn(ctx, s->id, RUNTIME_RUNNING);
    }
}

static size_t linux_count(const void *self)
{
    const struct linux_driver *d = self;

    return d->sandboxes.count;
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

    *out = (struct runtime_ahead){warm_count(d), d->warm.claimed, d->warm.spoiled};
}

static void linux_fail_step(void *self, const char *step)
{
    struct linux_driver *d = self;

    d->fail_step = NULL;
    for (const char *const *name = launch_step_names; *name != NULL; name++) {
        if (strcmp(*name, step) == 0)
            d->fail_step = *name;
    }
    if (d->fail_step != NULL || step[0] == '\0')
        warm_flush(d); /* they were launched when it did not fail, or made to wait by failing */
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
    .connect = linux_connect,
    .stats = linux_stats,
    .outlet = linux_outlet,
    .each = linux_each,
    .count = linux_count,
    .features = linux_features,
    .ahead = linux_ahead,
    .step_names = linux_step_names,
    .claim_step_names = linux_claim_step_names,
    .fail_step = linux_fail_step,
};

/* SPDX-License-Identifier: Apache-2.0 */
/* The front of every driver: picks it, checks what callers give it, passes the call on. */
#include "runtime/runtime.h"

#include "runtime/answers.h"
#include "runtime/driver.h"

enum {
    ID_MAX = 63,
    HOSTNAME_MAX = 63,
    ROOTFS_MAX = 1024,
    INIT_MAX = 160 << 10, /* as much as one packet to node can bring */
    PIDS_FEWEST = 4,      /* envd, a shell, and what they start */
};

static const uint64_t memory_least = 8 << 20; /* below this envd itself may not start */

struct runtime {
    const struct runtime_driver *driver;
    void *self;
    struct answers answers;
};

static const struct runtime_driver *const drivers[] = {&runtime_linux_driver, &runtime_fake_driver};

int runtime_new(struct loop *l, const struct runtime_config *config, runtime_exit_fn *on_exit,
                void *ctx, struct runtime **out, struct err *err)
{
    const struct runtime_driver *driver = NULL;
    void *self;

    for (size_t i = 0; i < COUNT_OF(drivers); i++) {
        if (strcmp(drivers[i]->name, config->driver) == 0)
            driver = drivers[i];
    }
    if (driver == NULL)
        return err_set(err, ERR_INVALID, "no runtime driver '%s'", config->driver);
    if (driver->open(l, config, on_exit, ctx, &self, err) != 0)
        return err_wrap(err, "runtime %s", driver->name);

    struct runtime *r = mem_zero(sizeof(*r));

    r->driver = driver;
    r->self = self;
    answers_init(&r->answers, l);
    *out = r;
    return 0;
}

void runtime_free(struct runtime *r)
{
    if (r == NULL)
        return;
    r->driver->close(r->self);
    answers_done(&r->answers);
    free(r);
}

static bool is_id(const char *id)
{
    size_t len = strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789");

    return len > 0 && len <= ID_MAX && id[len] == '\0';
}

static bool is_hostname(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-");

    return len > 0 && len <= HOSTNAME_MAX && name[len] == '\0';
}

static int spec_check(const struct sandbox_spec *spec, struct err *err)
{
    if (!is_id(spec->id))
        return err_set(err, ERR_INVALID, "start: a sandbox id is 1 to %d of [a-z0-9]", ID_MAX);
    if (spec->rootfs == NULL || spec->rootfs[0] != '/' || strlen(spec->rootfs) > ROOTFS_MAX)
        return err_set(err, ERR_INVALID, "start %s: rootfs must be an absolute path", spec->id);
    if (spec->hostname == NULL || !is_hostname(spec->hostname))
        return err_set(err, ERR_INVALID, "start %s: a hostname is 1 to %d of [A-Za-z0-9.-]",
                       spec->id, HOSTNAME_MAX);
    if (spec->init.len > INIT_MAX)
        return err_set(err, ERR_LIMIT, "start %s: first request of %zu bytes, at most %d", spec->id,
                       spec->init.len, INIT_MAX);
    if (spec->limits.memory_bytes != 0 && spec->limits.memory_bytes < memory_least)
        return err_set(err, ERR_INVALID, "start %s: memory limit below 8 MiB", spec->id);
    if (spec->limits.pids_max != 0 && spec->limits.pids_max < PIDS_FEWEST)
        return err_set(err, ERR_INVALID, "start %s: process limit below %d", spec->id, PIDS_FEWEST);
    return 0;
}

void runtime_start(struct runtime *r, const struct sandbox_spec *spec, runtime_started_fn *fn,
                   void *ctx)
{
    struct err err = {0};

    if (spec_check(spec, &err) != 0) {
        answers_started(&r->answers, spec->id, &err, fn, ctx);
        return;
    }
    r->driver->start(r->self, spec, fn, ctx);
}

void runtime_stop(struct runtime *r, const char *id, runtime_stopped_fn *fn, void *ctx)
{
    struct err err = {0};

    if (!is_id(id)) {
        ignore(err_set(&err, ERR_NOT_FOUND, "stop: no such sandbox"));
        answers_stopped(&r->answers, id, &err, fn, ctx);
        return;
    }
    r->driver->stop(r->self, id, fn, ctx);
}

void runtime_resume(struct runtime *r, const char *id, runtime_stopped_fn *fn, void *ctx)
{
    struct err err = {0};

    if (is_id(id) && r->driver->resume != NULL) {
        r->driver->resume(r->self, id, fn, ctx);
        return;
    }
    if (!is_id(id))
        ignore(err_set(&err, ERR_NOT_FOUND, "resume: no such sandbox"));
    else
        ignore(err_set(&err, ERR_UNSUPPORTED, "the runtime driver '%s' cannot resume sandboxes",
                       r->driver->name));
    answers_stopped(&r->answers, id, &err, fn, ctx);
}

int runtime_connect(struct runtime *r, const char *id, uint16_t port, int *out_fd, struct err *err)
{
    if (!is_id(id))
        return err_set(err, ERR_NOT_FOUND, "connect: no such sandbox");
    if (port == 0)
        return err_set(err, ERR_INVALID, "connect %s: there is no port 0", id);
    return r->driver->connect(r->self, id, port, out_fd, err);
}

int runtime_stats(struct runtime *r, const char *id, struct sandbox_stats *out, struct err *err)
{
    if (!is_id(id))
        return err_set(err, ERR_NOT_FOUND, "stats: no such sandbox");
    return r->driver->stats(r->self, id, out, err);
}

int runtime_outlet(struct runtime *r, const char *id, struct runtime_outlet *out, struct err *err)
{
    if (!is_id(id))
        return err_set(err, ERR_NOT_FOUND, "outlet: no such sandbox");
    return r->driver->outlet(r->self, id, out, err);
}

void runtime_outlet_close(struct runtime_outlet *o)
{
    for (size_t i = 0; i < COUNT_OF(o->fds); i++)
        own_close_fd(&o->fds[i]);
}

void runtime_each(struct runtime *r, runtime_each_fn *fn, void *ctx)
{
    r->driver->each(r->self, fn, ctx);
}

size_t runtime_count(const struct runtime *r)
{
    return r->driver->count(r->self);
}

size_t runtime_features(struct runtime *r, const struct runtime_feature **out)
{
    return r->driver->features(r->self, out);
}

void runtime_ahead(const struct runtime *r, struct runtime_ahead *out)
{
    r->driver->ahead(r->self, out);
}

const char *const *runtime_claim_step_names(const struct runtime *r)
{
    return r->driver->claim_step_names(r->self);
}

const char *const *runtime_step_names(const struct runtime *r)
{
    return r->driver->step_names(r->self);
}

void runtime_fail_step(struct runtime *r, const char *step)
{
    r->driver->fail_step(r->self, step);
}

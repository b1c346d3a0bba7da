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
    struct err no_memory; /* why pauses with memory are refused */
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

static int name_check(const struct sandbox_spec *spec, const char *verb, struct err *err)
{
    if (!is_id(spec->id))
        return err_set(err, ERR_INVALID, "%s: a sandbox id is 1 to %d of [a-z0-9]", verb, ID_MAX);
    if (spec->hostname == NULL || !is_hostname(spec->hostname))
        return err_set(err, ERR_INVALID, "%s %s: a hostname is 1 to %d of [A-Za-z0-9.-]", verb,
                       spec->id, HOSTNAME_MAX);
    return 0;
}

static int limits_check(const struct sandbox_spec *spec, const char *verb, struct err *err)
{
    if (spec->init.len > INIT_MAX)
        return err_set(err, ERR_LIMIT, "%s %s: first request of %zu bytes, at most %d", verb,
                       spec->id, spec->init.len, INIT_MAX);
    if (spec->limits.memory_bytes != 0 && spec->limits.memory_bytes < memory_least)
        return err_set(err, ERR_INVALID, "%s %s: memory limit below 8 MiB", verb, spec->id);
    if (spec->limits.pids_max != 0 && spec->limits.pids_max < PIDS_FEWEST)
        return err_set(err, ERR_INVALID, "%s %s: process limit below %d", verb, spec->id,
                       PIDS_FEWEST);
    return 0;
}

static bool is_path(const char *path)
{
    return path != NULL && path[0] == '/' && strlen(path) <= ROOTFS_MAX;
}

static int trees_check(const struct runtime *r, const struct sandbox_spec *spec, struct err *err)
{
    size_t count = 0;

    if (!is_path(spec->rootfs))
        return err_set(err, ERR_INVALID, "start %s: rootfs must be an absolute path", spec->id);
    for (; spec->layers != NULL && spec->layers[count] != NULL; count++) {
        if (count >= RUNTIME_LAYERS_MAX || !is_path(spec->layers[count]))
            return err_set(err, ERR_INVALID, "start %s: layers are at most %d absolute paths",
                           spec->id, RUNTIME_LAYERS_MAX);
    }
    if (count > 0 && !r->driver->has_layers)
        return err_set(err, ERR_UNSUPPORTED, "start %s: the runtime driver '%s' has no layers",
                       spec->id, r->driver->name);
    if (spec->snapshot != NULL && r->driver->pause == NULL)
        return err_set(err, ERR_UNSUPPORTED, "start %s: the runtime driver '%s' has no snapshots",
                       spec->id, r->driver->name);
    if (spec->snapshot != NULL && !is_id(spec->snapshot))
        return err_set(err, ERR_NOT_FOUND, "start %s: no such snapshot", spec->id);
    return 0;
}

static int spec_check(const struct runtime *r, const struct sandbox_spec *spec, struct err *err)
{
    if (name_check(spec, "start", err) != 0 || trees_check(r, spec, err) != 0 ||
        limits_check(spec, "start", err) != 0)
        return -1;
    return 0;
}

void runtime_start(struct runtime *r, const struct sandbox_spec *spec, runtime_started_fn *fn,
                   void *ctx)
{
    struct err err = {0};

    if (spec_check(r, spec, &err) != 0) {
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

/* What the driver has no function for, and names that nothing has. */
static int lasting_check(const struct runtime *r, const char *id, const char *verb, struct err *err)
{
    if (!is_id(id))
        return err_set(err, ERR_NOT_FOUND, "%s: no such sandbox", verb);
    if (r->driver->pause == NULL)
        return err_set(err, ERR_UNSUPPORTED, "the runtime driver '%s' cannot %s sandboxes",
                       r->driver->name, verb);
    return 0;
}

/* What is refused for the moment. */
static int memory_check(const struct runtime *r, const char *id, const char *verb,
                        bool keeps_memory, struct err *err)
{
    if (lasting_check(r, id, verb, err) != 0)
        return -1;
    if (!keeps_memory || r->no_memory.kind == ERR_NONE)
        return 0;
    return err_set(err, ERR_UNSUPPORTED, "%s %s: memory cannot be kept on this machine: %s", verb,
                   id, r->no_memory.text);
}

void runtime_forbid_memory(struct runtime *r, const struct err *why)
{
    r->no_memory = why == NULL ? (struct err){0} : *why;
}

void runtime_pause(struct runtime *r, const char *id, bool keeps_memory, runtime_started_fn *fn,
                   void *ctx)
{
    struct err err = {0};

    if (memory_check(r, id, "pause", keeps_memory, &err) != 0)
        answers_started(&r->answers, id, &err, fn, ctx);
    else
        r->driver->pause(r->self, id, keeps_memory, fn, ctx);
}

void runtime_resume(struct runtime *r, const struct sandbox_spec *spec, runtime_started_fn *fn,
                    void *ctx)
{
    struct err err = {0};

    if (lasting_check(r, spec->id, "resume", &err) != 0 || name_check(spec, "resume", &err) != 0 ||
        limits_check(spec, "resume", &err) != 0)
        answers_started(&r->answers, spec->id, &err, fn, ctx);
    else
        r->driver->resume(r->self, spec, fn, ctx);
}

void runtime_snapshot(struct runtime *r, const char *id, const char *name, bool keeps_memory,
                      runtime_started_fn *fn, void *ctx)
{
    struct err err = {0};
    int result = memory_check(r, id, "snapshot", keeps_memory, &err);

    if (result == 0 && !is_id(name))
        result = err_set(&err, ERR_INVALID, "snapshot %s: a snapshot's name is made as an id", id);
    if (result != 0)
        answers_started(&r->answers, id, &err, fn, ctx);
    else
        r->driver->snapshot(r->self, id, name, keeps_memory, fn, ctx);
}

void runtime_snapshot_remove(struct runtime *r, const char *name, runtime_stopped_fn *fn, void *ctx)
{
    struct err err = {0};

    if (is_id(name) && r->driver->pause != NULL) {
        r->driver->snapshot_remove(r->self, name, fn, ctx);
        return;
    }
    ignore(err_set(&err, ERR_NOT_FOUND, "remove: no such snapshot"));
    answers_stopped(&r->answers, name, &err, fn, ctx);
}

void runtime_each_snapshot(struct runtime *r, runtime_name_fn *fn, void *ctx)
{
    if (r->driver->pause != NULL)
        r->driver->each_snapshot(r->self, fn, ctx);
}

void runtime_capabilities(const struct runtime *r, struct runtime_capabilities *out)
{
    if (r->driver->pause != NULL)
        r->driver->capabilities(r->self, out);
    else
        *out = (struct runtime_capabilities){.reason = "the runtime driver cannot pause sandboxes"};
    if (r->no_memory.kind == ERR_NONE)
        return;
    out->can_checkpoint = false;
    out->reason = r->no_memory.text;
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

bool runtime_is_frozen(const struct runtime *r, const char *id)
{
    return r->driver->is_frozen != NULL && r->driver->is_frozen(r->self, id);
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

const char *const *runtime_work_step_names(const struct runtime *r, enum runtime_work work)
{
    static const char *const none[] = {NULL};

    return r->driver->pause != NULL ? r->driver->work_step_names(r->self, work) : none;
}

void runtime_fail_step(struct runtime *r, const char *step)
{
    r->driver->fail_step(r->self, step);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The driver that only remembers: for tests of everything above the runtime, without root.
 *
 * A start completes at the end of the turn; connecting goes to the same port of this machine, where
 * a test may run an envd of its own. Nothing is measured: statistics are zero. What is paused and
 * what is a snapshot is remembered on the disk, so it survives this process; what runs does not. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "io/socket.h"
#include "runtime/driver.h"
#include "runtime/fake_internal.h"

static const char *const step_names[] = {"remember", NULL};
static const char *const no_names[] = {NULL};

struct fake_sandbox *fake_add(struct fake *f, const char *id, enum runtime_state state)
{
    struct fake_sandbox *s = mem_zero(sizeof(*s));

    s->id = mem_text(id);
    s->state = state;
    f->running += state == RUNTIME_RUNNING;
    ignore(map_put(&f->sandboxes, str_of(s->id), s) != NULL); /* callers looked before */
    return s;
}

void fake_remove(struct fake *f, struct fake_sandbox *s)
{
    map_remove(&f->sandboxes, str_of(s->id));
    f->running -= s->state == RUNTIME_RUNNING;
    free(s->id);
    free(s);
}

static bool is_in_file(const struct fake *f, const char *step)
{
    char path[PATH_MAX], text[sizeof(f->fail_step)] = "";
    auto_fd int fd = -1;

    if (f->data_dir == NULL ||
        snprintf(path, sizeof(path), "%s/fake.fail", f->data_dir) >= (int)sizeof(path))
        return false;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, step) == 0;
}

bool fake_must_fail(const struct fake *f, const char *step, struct err *err)
{
    if (strcmp(f->fail_step, step) != 0 && !is_in_file(f, step))
        return false;
    err_set(err, ERR_SYSTEM, "%s: made to fail", step);
    return true;
}

static void adopt(void *ctx, const char *id)
{
    ignore(fake_add(ctx, id, RUNTIME_PAUSED) == NULL); /* never is */
}

static void fake_close(void *self)
{
    struct fake *f = self;
    size_t cursor = 0;
    struct fake_sandbox *s;

    fake_works_drop(f, NULL);
    answers_done(&f->answers);
    while ((s = map_next(&f->sandboxes, &cursor)) != NULL)
        fake_remove(f, s);
    map_done(&f->sandboxes);
    fake_keep_close(f);
    free(f);
}

static int fake_open(struct loop *l, const struct runtime_config *config, runtime_exit_fn *on_exit,
                     void *ctx, void **out, struct err *err)
{
    struct fake *f = mem_zero(sizeof(*f));

    (void)on_exit; /* nothing ends by itself here */
    (void)ctx;
    answers_init(&f->answers, l);
    f->loop = l;
    f->sandboxes_max = (size_t)config->sandboxes_max;
    f->data_dir = config->data_dir;
    for (size_t i = 0; i < FAKE_PLACE_COUNT; i++)
        f->places[i] = -1;
    if (fake_keep_open(f, err) != 0) {
        fake_close(f);
        return -1;
    }
    fake_each_kept(f, FAKE_PAUSED, adopt, f);
    *out = f;
    return 0;
}

static int remember(struct fake *f, const struct sandbox_spec *spec, struct err *err)
{
    if (map_get(&f->sandboxes, str_of(spec->id)) != NULL)
        return err_set(err, ERR_EXISTS, "start %s: already there", spec->id);
    if (f->running >= f->sandboxes_max)
        return err_set(err, ERR_LIMIT, "start %s: %zu sandboxes are the most", spec->id,
                       f->sandboxes_max);
    if (spec->snapshot != NULL && !fake_is_kept(f, FAKE_SNAPSHOTS, spec->snapshot))
        return err_set(err, ERR_NOT_FOUND, "start %s: no snapshot %s", spec->id, spec->snapshot);
    if (fake_must_fail(f, step_names[0], err))
        return err_wrap(err, "start %s", spec->id);
    ignore(fake_add(f, spec->id, RUNTIME_RUNNING) == NULL); /* never is */
    return 0;
}

static void fake_start(void *self, const struct sandbox_spec *spec, runtime_started_fn *fn,
                       void *ctx)
{
    struct fake *f = self;
    struct err err = {0};
    bool is_kept = remember(f, spec, &err) == 0;

    answers_started(&f->answers, spec->id, is_kept ? NULL : &err, fn, ctx);
}

static void fake_stop(void *self, const char *id, runtime_stopped_fn *fn, void *ctx)
{
    struct fake *f = self;
    struct err err = {0};
    struct fake_sandbox *s = map_get(&f->sandboxes, str_of(id));

    if (s == NULL)
        ignore(err_set(&err, ERR_NOT_FOUND, "stop %s: no such sandbox", id));
    else
        fake_works_drop(f, id);
    answers_stopped(&f->answers, id, s == NULL ? &err : NULL, fn, ctx);
    if (s == NULL)
        return;
    fake_drop(f, FAKE_PAUSED, id);
    fake_remove(f, s);
}

static int require_running(const struct fake *f, const char *id, const char *verb, struct err *err)
{
    const struct fake_sandbox *s = map_get(&f->sandboxes, str_of(id));

    if (s == NULL)
        return err_set(err, ERR_NOT_FOUND, "%s %s: no such sandbox", verb, id);
    if (s->state != RUNTIME_RUNNING)
        return err_set(err, ERR_CONFLICT, "%s %s: it is paused", verb, id);
    return 0;
}

static int fake_connect(void *self, const char *id, uint16_t port, int *out_fd, struct err *err)
{
    struct fake *f = self;
    char address[sizeof("127.0.0.1:65535")];
    int error = 0;
    socklen_t size = sizeof(error);

    if (require_running(f, id, "connect", err) != 0)
        return -1;
    ignore(snprintf(address, sizeof(address), "127.0.0.1:%u", port));

    auto_fd int fd = -1;

    if (socket_connect_tcp(address, &fd, err) != 0) {
        if (err->sys == ECONNREFUSED)
            err->kind = ERR_UNAVAILABLE;
        return err_wrap(err, "connect %s", id);
    }

    struct pollfd ready = {.fd = fd, .events = POLLOUT};

    /* on loopback a refusal is known at once */
    if (poll(&ready, 1, 0) == 1 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 &&
        error != 0)
        return err_set(err, ERR_UNAVAILABLE, "connect %s: nobody listens on port %u", id, port);
    *out_fd = take_fd(&fd);
    return 0;
}

static int fake_stats(void *self, const char *id, struct sandbox_stats *out, struct err *err)
{
    struct fake *f = self;

    if (require_running(f, id, "stats", err) != 0)
        return -1;
    *out = (struct sandbox_stats){.pids = 1};
    return 0;
}

static int fake_outlet(void *self, const char *id, struct runtime_outlet *out, struct err *err)
{
    const struct fake *f = self;

    ignore(out == NULL); /* there is none */
    if (require_running(f, id, "outlet", err) != 0)
        return -1;
    return err_set(err, ERR_UNSUPPORTED, "outlet %s: nothing runs, nothing leaves", id);
}

static void fake_each(void *self, runtime_each_fn *fn, void *ctx)
{
    struct fake *f = self;
    size_t cursor = 0;
    struct fake_sandbox *s;

    while ((s = map_next(&f->sandboxes, &cursor)) != NULL)
        fn(ctx, s->id, s->state);
}

static size_t fake_count(const void *self)
{
    const struct fake *f = self;

    return f->running;
}

static size_t fake_features(void *self, const struct runtime_feature **out)
{
    static const struct runtime_feature rows[] = {
        {"isolation", "none (fake driver)", "sandboxes are only remembered; set driver = linux",
         false},
    };

    (void)self;
    *out = rows;
    return COUNT_OF(rows);
}

static const char *const *fake_step_names(const void *self)
{
    (void)self;
    return step_names;
}

static void fake_ahead(const void *self, struct runtime_ahead *out)
{
    (void)self;
    *out = (struct runtime_ahead){0};
}

static const char *const *fake_claim_step_names(const void *self)
{
    (void)self;
    return no_names;
}

static void fake_fail_step(void *self, const char *step)
{
    struct fake *f = self;

    ignore(snprintf(f->fail_step, sizeof(f->fail_step), "%s", step)); /* no name is as long */
}

const struct runtime_driver runtime_fake_driver = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .start = fake_start,
    .stop = fake_stop,
    .has_layers = true,
    .pause = fake_pause,
    .resume = fake_resume,
    .snapshot = fake_snapshot,
    .snapshot_remove = fake_snapshot_remove,
    .each_snapshot = fake_each_snapshot,
    .capabilities = fake_capabilities,
    .work_step_names = fake_work_step_names,
    .connect = fake_connect,
    .stats = fake_stats,
    .outlet = fake_outlet,
    .each = fake_each,
    .count = fake_count,
    .features = fake_features,
    .ahead = fake_ahead,
    .step_names = fake_step_names,
    .claim_step_names = fake_claim_step_names,
    .fail_step = fake_fail_step,
};

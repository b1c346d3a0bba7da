/* SPDX-License-Identifier: Apache-2.0 */
/* The driver that only remembers: for tests of everything above the runtime, without root.
 *
 * A start completes at the end of the turn; connecting goes to the same port of this machine, where
 * a test may run an envd of its own. Nothing is measured: statistics are zero. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/map.h"
#include "io/socket.h"
#include "runtime/answers.h"
#include "runtime/driver.h"

struct fake_sandbox {
    char *id;
};

struct fake {
    struct answers answers;
    struct map sandboxes;
    size_t sandboxes_max;
    bool must_fail;
};

static const char *const step_names[] = {"remember", NULL};
static const char *const no_names[] = {NULL};

static int fake_open(struct loop *l, const struct runtime_config *config, runtime_exit_fn *on_exit,
                     void *ctx, void **out, struct err *err)
{
    struct fake *f = mem_zero(sizeof(*f));

    (void)on_exit; /* nothing ends by itself here */
    (void)ctx;
    (void)err;
    answers_init(&f->answers, l);
    f->sandboxes_max = (size_t)config->sandboxes_max;
    *out = f;
    return 0;
}

static void sandbox_free(struct fake_sandbox *s)
{
    free(s->id);
    free(s);
}

static void fake_close(void *self)
{
    struct fake *f = self;
    size_t cursor = 0;
    struct fake_sandbox *s;

    answers_done(&f->answers);
    while ((s = map_next(&f->sandboxes, &cursor)) != NULL) {
        map_remove(&f->sandboxes, str_of(s->id));
        sandbox_free(s);
    }
    map_done(&f->sandboxes);
    free(f);
}

static int remember(struct fake *f, const struct sandbox_spec *spec, struct err *err)
{
    if (map_get(&f->sandboxes, str_of(spec->id)) != NULL)
        return err_set(err, ERR_EXISTS, "start %s: already there", spec->id);
    if (f->sandboxes.count >= f->sandboxes_max)
        return err_set(err, ERR_LIMIT, "start %s: %zu sandboxes are the most", spec->id,
                       f->sandboxes_max);
    if (f->must_fail)
        return err_set(err, ERR_SYSTEM, "start %s: %s: made to fail", spec->id, step_names[0]);

    struct fake_sandbox *s = mem_zero(sizeof(*s));

    s->id = mem_text(spec->id);
    ignore(map_put(&f->sandboxes, str_of(s->id), s) != NULL); /* it was not there, see above */
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
    struct fake_sandbox *s = map_remove(&f->sandboxes, str_of(id));

    if (s == NULL)
        ignore(err_set(&err, ERR_NOT_FOUND, "stop %s: no such sandbox", id));
    else
        sandbox_free(s);
    answers_stopped(&f->answers, id, s == NULL ? &err : NULL, fn, ctx);
}

static void fake_resume(void *self, const char *id, runtime_stopped_fn *fn, void *ctx)
{
    struct fake *f = self;
    struct err err = {0};
    bool is_there = map_get(&f->sandboxes, str_of(id)) != NULL;

    if (!is_there)
        ignore(err_set(&err, ERR_NOT_FOUND, "resume %s: no such sandbox", id));
    answers_stopped(&f->answers, id, is_there ? NULL : &err, fn, ctx);
}

static int fake_connect(void *self, const char *id, uint16_t port, int *out_fd, struct err *err)
{
    struct fake *f = self;
    char address[sizeof("127.0.0.1:65535")];
    int error = 0;
    socklen_t size = sizeof(error);

    if (map_get(&f->sandboxes, str_of(id)) == NULL)
        return err_set(err, ERR_NOT_FOUND, "connect %s: no such sandbox", id);
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

    if (map_get(&f->sandboxes, str_of(id)) == NULL)
        return err_set(err, ERR_NOT_FOUND, "stats %s: no such sandbox", id);
    *out = (struct sandbox_stats){.pids = 1};
    return 0;
}

static int fake_outlet(void *self, const char *id, struct runtime_outlet *out, struct err *err)
{
    const struct fake *f = self;

    ignore(out == NULL); /* there is none */
    if (map_get(&f->sandboxes, str_of(id)) == NULL)
        return err_set(err, ERR_NOT_FOUND, "outlet %s: no such sandbox", id);
    return err_set(err, ERR_UNSUPPORTED, "outlet %s: nothing runs, nothing leaves", id);
}

static void fake_each(void *self, runtime_each_fn *fn, void *ctx)
{
    struct fake *f = self;
    size_t cursor = 0;
    struct fake_sandbox *s;

    while ((s = map_next(&f->sandboxes, &cursor)) != NULL)
        fn(ctx, s->id);
}

static size_t fake_count(const void *self)
{
    const struct fake *f = self;

    return f->sandboxes.count;
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

    f->must_fail = strcmp(step, step_names[0]) == 0;
}

const struct runtime_driver runtime_fake_driver = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .start = fake_start,
    .stop = fake_stop,
    .resume = fake_resume,
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

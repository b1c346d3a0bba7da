/* SPDX-License-Identifier: Apache-2.0 */
/* See probe.h. */
#include "node/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "runtime/roundtrip.h"

enum {
    FIRST_MS = 1000, /* starts have the machine to themselves */
    AGAIN_MS = 60000,
    SANDBOXES = 4,
};

struct probe {
    struct loop *loop;
    struct runtime_config config;
    struct runtime *judged; /* whom it is about */
    struct runtime *own;
    struct roundtrip *trip;
    char data_dir[PATH_MAX], run_dir[PATH_MAX], rootfs[PATH_MAX], mark[PATH_MAX];
    struct timer timer;
    struct err result;
    bool is_ending;
    loop_fn *on_end;
    void *on_end_ctx;
};

/* False: that is not how it is remembered. */
static bool mark_text(const struct probe *p, char out[PATH_MAX])
{
    struct runtime_capabilities can;
    struct stat st;

    runtime_capabilities(p->judged, &can);
    return can.criu != NULL && stat(can.criu, &st) == 0 &&
           snprintf(out, PATH_MAX, "%s %lld %lld\n", can.criu, (long long)st.st_size,
                    (long long)st.st_mtime) < PATH_MAX;
}

static bool is_remembered(const struct probe *p)
{
    char expected[PATH_MAX], found[PATH_MAX];
    auto_fd int fd = open(p->mark, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, found, sizeof found);

    return n > 0 && mark_text(p, expected) && (size_t)n == strlen(expected) &&
           memcmp(found, expected, (size_t)n) == 0;
}

static void remember(const struct probe *p)
{
    char text[PATH_MAX];
    auto_fd int fd = open(p->mark, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0 && mark_text(p, text))
        ignore(write(fd, text, strlen(text))); /* else it is tried again by the next one */
}

static void on_exit_of(void *ctx, const char *id, enum exit_reason reason)
{
    ignore(ctx == NULL && id == NULL && reason == EXIT_EXITED); /* whoever waits for it is told */
}

/* What may pass says nothing about this machine. */
static bool is_lasting(const struct err *err)
{
    return err->kind == ERR_UNSUPPORTED || err->kind == ERR_SYSTEM;
}

static void on_timer(void *ctx);

/* Not from within the runtime that ends here. */
static void conclude(void *ctx)
{
    struct probe *p = ctx;

    runtime_free(p->own);
    p->own = NULL;
    if (p->result.kind == ERR_NONE) {
        remember(p);
        runtime_forbid_memory(p->judged, NULL);
        log_info("node.checkpoints_work", "criu=%s", p->config.criu);
    } else {
        log_warn("node.checkpoints_fail", "error=\"%s\"", p->result.text);
        if (is_lasting(&p->result))
            runtime_forbid_memory(p->judged, &p->result);
        if (!p->is_ending)
            timer_start(p->loop, &p->timer, AGAIN_MS, on_timer, p);
    }
    if (p->is_ending && p->on_end != NULL)
        p->on_end(p->on_end_ctx);
}

static void on_result(void *ctx, const struct err *err)
{
    struct probe *p = ctx;

    p->trip = NULL;
    p->result = err == NULL ? (struct err){0} : *err;
    timer_start(p->loop, &p->timer, 0, conclude, p);
}

static void on_timer(void *ctx)
{
    struct probe *p = ctx;
    struct err err = {0};

    if (runtime_new(p->loop, &p->config, on_exit_of, p, &p->own, &err) != 0) {
        p->own = NULL;
        log_warn("node.checkpoints_fail", "error=\"%s\"", err.text);
        return;
    }
    if (mkdir(p->rootfs, 0755) != 0 && errno != EEXIST) {
        ignore(err_sys(&err, errno, "make '%s'", p->rootfs));
        on_result(p, &err);
        return;
    }
    p->trip = roundtrip_begin(p->loop, p->own, p->rootfs, on_result, p);
}

struct probe *probe_new(struct loop *l, const struct runtime_config *config, struct runtime *r)
{
    struct runtime_capabilities can;
    struct probe *p = mem_zero(sizeof *p);

    *p = (struct probe){.loop = l, .config = *config, .judged = r};
    runtime_capabilities(r, &can);
    if (!can.can_checkpoint || can.criu == NULL ||
        snprintf(p->data_dir, sizeof p->data_dir, "%s/probe", config->data_dir) >= PATH_MAX ||
        snprintf(p->run_dir, sizeof p->run_dir, "%s/probe", config->run_dir) >= PATH_MAX ||
        snprintf(p->rootfs, sizeof p->rootfs, "%s/probe/empty", config->data_dir) >= PATH_MAX ||
        snprintf(p->mark, sizeof p->mark, "%s/checkpoints", config->run_dir) >= PATH_MAX ||
        is_remembered(p))
        return p;
    p->config.data_dir = p->data_dir;
    p->config.run_dir = p->run_dir;
    p->config.hot_resume_s = p->config.pool_size = p->config.warm_size = 0;
    p->config.sandboxes_max = SANDBOXES;
    p->config.on_uncheckpointable = "fail";
    timer_start(l, &p->timer, FIRST_MS, on_timer, p);
    return p;
}

void probe_end(struct probe *p, loop_fn *fn, void *ctx)
{
    p->is_ending = true;
    if (p->own == NULL) {
        timer_stop(&p->timer);
        fn(ctx);
        return;
    }
    p->on_end = fn;
    p->on_end_ctx = ctx;
}

void probe_free(struct probe *p)
{
    if (p == NULL)
        return;
    timer_stop(&p->timer);
    roundtrip_free(p->trip);
    if (p->own != NULL)
        runtime_free(p->own);
    free(p);
}

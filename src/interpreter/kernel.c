/* SPDX-License-Identifier: Apache-2.0 */
/* The process of a kernel, from its start to its burial. Called by context.c. */
#include "interpreter/kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/id.h"
#include "interpreter/driver.h"

enum {
    NAME_LEN = 10,
    ARGS_MAX = LANGUAGE_ARGS_MAX + 8,
    PATH_BYTES = 4096,
    FAREWELL_MS = 300, /* for what a process wrote before its end */
};

/* Raised for kernels: this service is to outlive all of them when memory runs out. */
static const char oom_score[] = "500";

static size_t living;

size_t kernel_living(void)
{
    return living;
}

static void free_now(void *ctx)
{
    struct kernel *k = ctx;

    k->language->driver->free(k);
    free(k->cwd);
    free(k->name);
    free(k->why);
    free(k);
    living--;
}

/* The memory goes when the process is reaped, and not from within a callback of it. */
static void bury(struct kernel *k)
{
    if (k->is_closed && k->child.pid == 0)
        task_defer(k->place.loop, &k->burial, free_now, k);
}

static void close_talk(struct kernel *k)
{
    if (k->is_closed)
        return;
    k->is_closed = true;
    timer_stop(&k->timer);
    timer_stop(&k->farewell);
    k->language->driver->close(k);
}

void kernel_free(struct kernel *k)
{
    if (k == NULL)
        return;
    k->events = NULL;
    kernel_signal(k, SIGKILL);
    close_talk(k);
    bury(k);
}

static void tell_end(void *ctx)
{
    struct kernel *k = ctx;
    const struct kernel_events *events = k->events;
    char text[160];

    if (k->lost_why != NULL && k->why == NULL) {
        snprintf(text, sizeof(text), "the kernel is lost: %s", k->lost_why);
        k->why = mem_text(text);
    }
    close_talk(k);
    if (events != NULL)
        events->on_end(k->ctx, k->why);
}

static void set_why(struct kernel *k, const char *why)
{
    if (k->why == NULL)
        k->why = mem_text(why);
}

static void describe_end(struct kernel *k)
{
    char text[160];
    int status = k->child.status;

    if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        snprintf(text, sizeof(text),
                 "the kernel was killed (signal 9), as it is when memory runs out");
    else if (status >= 0 && WIFSIGNALED(status))
        snprintf(text, sizeof(text), "the kernel was ended by signal %d", WTERMSIG(status));
    else
        snprintf(text, sizeof(text), "the kernel ended with exit code %d",
                 status >= 0 ? WEXITSTATUS(status) : -1);
    set_why(k, text);
}

static void on_exit_of(void *ctx)
{
    struct kernel *k = ctx;

    k->is_gone = true;
    if (k->is_closed) {
        bury(k);
        return;
    }
    describe_end(k);
    timer_start(k->place.loop, &k->farewell, FAREWELL_MS, tell_end, k);
}

void kernel_lost(struct kernel *k, const char *why)
{
    if (k->is_closed)
        return;
    k->language->driver->pause(k, true); /* nothing more comes from there */
    if (k->is_gone) {
        timer_start(k->place.loop, &k->farewell, 0, tell_end, k);
        return;
    }
    /* The reason is the process's own end, if that comes now by itself. */
    if (!timer_running(&k->farewell)) {
        timer_start(k->place.loop, &k->farewell, FAREWELL_MS, tell_end, k);
        k->lost_why = why;
    }
}

void kernel_signal(struct kernel *k, int signal)
{
    if (k->child.pid > 0 && kill(-k->child.pid, signal) != 0)
        child_signal(&k->child, signal); /* it is not leader of its group yet */
}

static void on_late(void *ctx)
{
    struct kernel *k = ctx;

    set_why(k, k->is_ready ? "the kernel did not heed an interrupt and was killed"
                           : "the kernel did not become ready");
    kernel_signal(k, SIGKILL);
}

/* What stands for it in the process's arguments; NULL: out of memory. */
static char *argument(const struct kernel *k, const char *pattern)
{
    static const char ours[] = "@kernels/";
    char *out = NULL;

    if (strcmp(pattern, "@connection") == 0)
        ignore(asprintf(&out, "%s.json", k->name));
    else if (strncmp(pattern, ours, sizeof(ours) - 1) == 0)
        ignore(asprintf(&out, "%s/%s", k->place.kernels_dir, pattern + sizeof(ours) - 1));
    else
        out = mem_text(pattern);
    return out;
}

static int spawn(struct kernel *k, const struct child_fd *fds, size_t fd_count, struct err *err)
{
    char parent[40], *argv[ARGS_MAX] = {NULL};
    const char *first[] = {"/usr/bin/env", "-C", k->cwd, parent, "/usr/bin/setsid"};
    struct child_spec spec = {.path = first[0], .argv = argv, .fds = fds, .fd_count = fd_count};
    size_t count = 0;
    int result;

    snprintf(parent, sizeof(parent), "JPY_PARENT_PID=%d", (int)getpid());
    for (; count < COUNT_OF(first); count++)
        argv[count] = mem_text(first[count]);
    for (size_t i = 0; i < LANGUAGE_ARGS_MAX && k->language->args[i] != NULL; i++)
        argv[count++] = argument(k, k->language->args[i]);
    result = child_start(&k->child, k->place.loop, &spec, on_exit_of, k, err);
    for (size_t i = 0; i < count; i++)
        free(argv[i]);
    return result;
}

static void offer_to_oom_killer(const struct kernel *k)
{
    char path[64];
    auto_fd int fd = -1;

    snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)k->child.pid);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        ignore(write(fd, oom_score, sizeof(oom_score) - 1)); /* a preference */
}

static int start(struct kernel *k, struct err *err)
{
    struct child_fd fds[DRIVER_FDS_MAX];
    size_t count = 0;
    int result;

    if (k->language->driver->open(k, fds, &count, err) != 0)
        return -1;
    result = spawn(k, fds, count, err);
    for (size_t i = 0; i < count; i++)
        close(fds[i].parent);
    if (result != 0)
        return err_wrap(err, "start the %s kernel", k->language->name);
    offer_to_oom_killer(k);
    timer_start(k->place.loop, &k->timer, KERNEL_START_MS, on_late, k);
    if (k->language->driver->started != NULL)
        k->language->driver->started(k);
    return 0;
}

int kernel_new(const struct kernel_place *place, const struct language *language, const char *cwd,
               const struct kernel_events *events, void *ctx, struct kernel **out, struct err *err)
{
    struct kernel *k = mem_zero(sizeof(*k));
    char name[NAME_LEN + 1] = {0};

    id_text(name, NAME_LEN);
    *k = (struct kernel){.place = *place, .language = language, .events = events, .ctx = ctx};
    k->cwd = mem_text(cwd);
    k->name = mem_zero(strlen(place->run_dir) + NAME_LEN + 2);
    snprintf(k->name, strlen(place->run_dir) + NAME_LEN + 2, "%s/%s", place->run_dir, name);
    living++;
    if (start(k, err) != 0) {
        kernel_free(k);
        return -1;
    }
    *out = k;
    return 0;
}

bool kernel_is_ready(const struct kernel *k)
{
    return k != NULL && k->is_ready;
}

void kernel_execute(struct kernel *k, const struct kernel_job *job)
{
    k->is_busy = true;
    k->language->driver->execute(k, job);
}

void kernel_interrupt(struct kernel *k)
{
    if (!k->is_busy || k->is_gone)
        return;
    timer_start(k->place.loop, &k->timer, KERNEL_INTERRUPT_MS, on_late, k);
    k->language->driver->interrupt(k);
}

void kernel_pause(struct kernel *k, bool is_paused)
{
    if (!k->is_closed && !k->is_gone)
        k->language->driver->pause(k, is_paused);
}

void kernel_ready(struct kernel *k)
{
    if (k->is_ready || k->is_closed)
        return;
    k->is_ready = true;
    timer_stop(&k->timer);
    k->events->on_ready(k->ctx);
}

void kernel_output(struct kernel *k, struct str lines)
{
    if (k->is_busy && !k->is_closed && lines.len > 0)
        k->events->on_output(k->ctx, lines);
}

void kernel_done(struct kernel *k)
{
    if (!k->is_busy || k->is_closed)
        return;
    k->is_busy = false;
    timer_stop(&k->timer);
    k->events->on_done(k->ctx);
}

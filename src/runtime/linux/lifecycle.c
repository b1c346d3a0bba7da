/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to a sandbox on the loop: envd's first answer, its end, the answers to callers. */
#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "runtime/linux/driver_internal.h"

enum {
    ANSWER_LEAST = 10 /* bytes that tell: "HTTP/1.1 2" */
};

static void forget(struct guest *s)
{
    if (map_get(&s->driver->sandboxes, str_of(s->id)) == s)
        ignore(map_remove(&s->driver->sandboxes, str_of(s->id)) != NULL); /* it is s */
}

/* Callers first leave the list: a callback may start or stop anything. */
void lifecycle_answer_stops(struct guest *s)
{
    struct list_node *n;

    while ((n = list_pop(&s->stops)) != NULL) {
        struct stop_waiter *w = container_of(n, struct stop_waiter, node);
        runtime_stopped_fn *fn = w->fn;
        void *ctx = w->ctx;

        free(w);
        fn(ctx, s->id, NULL);
    }
}

/* The last word on a start; the callback may start or stop anything, this sandbox too. */
void lifecycle_answer_start(struct guest *s, const struct err *err)
{
    struct linux_driver *d = s->driver;

    d->starting--;
    warm_rest(d);
    s->on_started(s->started_ctx, s->id, clock_mono_us() - s->asked_us, err);
}

bool lifecycle_begin(struct guest *s)
{
    struct linux_driver *d = s->driver;

    if (!s->is_in_place)
        ignore(snprintf(s->dir, sizeof(s->dir), "%s.%llx", s->id, (unsigned long long)d->serial++));
    launch_init(s);
    return creators_put(s->is_restored ? &d->savers : &d->creators, s, creator_launch);
}

void lifecycle_launch(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct err err = {0};

    if (lifecycle_begin(s)) {
        ignore(map_put(&d->sandboxes, str_of(s->id), s) != NULL); /* the caller has looked it up */
        return;
    }
    ignore(err_set(&err, ERR_LIMIT, "start %s: %d starts are waiting already", s->id,
                   START_QUEUE_MAX));
    d->starting--;
    answers_started(&d->answers, s->id, &err, s->on_started, s->started_ctx);
    lifecycle_answer_stops(s);
    places_leave_stack(&d->places, &s->layers);
    guest_free(s);
}

/* Whoever waits for a stop has got what he wants. */
void lifecycle_failed(void *sandbox)
{
    struct guest *s = sandbox;

    if (s->is_ahead) {
        warm_failed(s);
        return;
    }
    if (s->wakes != NULL) {
        struct guest *paused = s->wakes;

        ignore(err_wrap(&s->err, "resume %s", s->id));
        s->wakes = NULL;
        asleep_not_woken(paused, s);
        return;
    }
    forget(s);
    ignore(err_wrap(&s->err, "start %s", s->id));
    lifecycle_answer_start(s, &s->err);
    lifecycle_answer_stops(s);
    guest_free(s);
}

void lifecycle_reaped(void *sandbox)
{
    struct guest *s = sandbox;

    if (s->state == SANDBOX_COOLING) {
        asleep_cooled(s);
        return;
    }
    lifecycle_answer_stops(s); /* of a snapshot's removal: those of sandboxes were earlier */
    flats_sweep(s->driver);
    guest_free(s);
}

static void undo(struct guest *s)
{
    watch_stop(&s->pid_watch);
    s->state = SANDBOX_UNDOING;
    reaper_put(s->driver, s);
}

void lifecycle_discard(struct guest *s)
{
    timer_stop(&s->deadline);
    watch_stop(&s->control_watch);
    watch_stop(&s->pid_watch);
    warm_service_leave(s);
    s->state = SANDBOX_REAPING;
    reaper_put(s->driver, s);
}

/* Its init is one of very many that wait for a processor: a fork bomb. */
static void on_stubborn(void *ctx)
{
    struct guest *s = ctx;

    cgroup_let_die(&s->driver->cgroups, s->cell.cgroup);
    cgroup_kill(&s->driver->cgroups, s->cell.cgroup);
    timer_start(s->driver->loop, &s->deadline, STOP_RETRY_MS, on_stubborn, s);
}

static void begin_stop(struct guest *s)
{
    s->state = SANDBOX_STOPPING;
    recent_keep(&s->driver->recent, s->driver->proc_fd, s->pid);
    guest_kill(s);
    timer_start(s->driver->loop, &s->deadline, STOP_PATIENCE_MS, on_stubborn, s);
}

/* The last steps of the launch: the answer is there, or s->err says why it is not. */
static void finish_launch(struct guest *s)
{
    struct linux_driver *d = s->driver;
    struct list parked = {0};
    struct err err = {0};

    timer_stop(&s->deadline);
    if (s->is_ahead) {
        warm_answered(s); /* it keeps its control socket */
        return;
    }
    if (s->saving.is_asked) {
        asleep_answered(s);
        return;
    }
    watch_stop(&s->control_watch);
    if (steps_run(&s->steps, s->steps.count, &err) != 0) {
        s->err = err;
        if (s->is_beyond_return)
            asleep_return(s);
        else if (!claim_give_up(s))
            undo(s);
        return;
    }
    if (s->is_claimed)
        warm_was_good(s->driver);
    own_close_fd(&s->control_fd);
    s->control_fd = -1;
    s->state = SANDBOX_RUNNING;
    if (s->wakes != NULL)
        asleep_woken(s);
    watch_set(&s->pid_watch, EPOLLIN); /* it may have been set aside by on_end() */
    guest_watch_disk(s);
    /* the caller may stop it at once: nothing of s is used after this unless stops wait */
    bool must_stop = list_first(&s->stops) != NULL;

    parked_take(s, &parked);
    if (must_stop)
        begin_stop(s);
    lifecycle_answer_start(s, NULL);
    parked_again(d, &parked);
}

static void on_deadline(void *ctx)
{
    struct guest *s = ctx;

    ignore(err_set(&s->err, ERR_TIMEOUT, "envd did not answer in %d ms",
                   s->is_claimed ? CLAIM_TIMEOUT_MS : READY_TIMEOUT_MS));
    finish_launch(s);
}

/* One that will be asked again must be through with its first answer, which has no body. */
static bool has_answer(const struct guest *s)
{
    if (s->is_ahead)
        return str_has_suffix((struct str){s->answer, s->answer_len}, "\r\n\r\n");
    return s->answer_len >= ANSWER_LEAST;
}

static void on_answer(void *ctx, uint32_t events)
{
    struct guest *s = ctx;
    ssize_t n;

    (void)events;
    if (s->state == SANDBOX_WARM) {
        warm_lost(s); /* it has nothing to say now: this is its end */
        return;
    }
    n = recv(s->control_fd, s->answer + s->answer_len, sizeof(s->answer) - s->answer_len,
             MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        s->answer_len += (size_t)n;
    if (n <= 0)
        ignore(err_set(&s->err, ERR_SYSTEM, "envd ended before it answered"));
    if (n <= 0 || has_answer(s))
        finish_launch(s);
}

void lifecycle_expect(struct guest *s, uint64_t timeout_ms)
{
    s->state = SANDBOX_ANSWERING;
    timer_start(s->driver->loop, &s->deadline, timeout_ms, on_deadline, s);
}

void lifecycle_spawned(void *sandbox)
{
    struct guest *s = sandbox;
    struct linux_driver *d = s->driver;

    lifecycle_expect(s, READY_TIMEOUT_MS);
    if (watch_start(d->loop, &s->control_watch, s->control_fd, EPOLLIN, on_answer, s, &s->err) !=
            0 ||
        (!s->saving.is_asked && lifecycle_watch(s, &s->err) != 0)) {
        finish_launch(s);
    }
}

static enum exit_reason reason_of(struct guest *s)
{
    if (atomic_load(&s->disk.has_ended_it))
        return EXIT_DISK;
    /* of an adopted sandbox the status is somebody else's; the count has to do */
    if ((s->was_killed || !s->is_child) &&
        cgroup_oom_kills(&s->driver->cgroups, s->cell.cgroup) > 0)
        return EXIT_OOM;
    return EXIT_EXITED;
}

/* Its first process is gone, and with it all others. What remains takes time and is not reachable:
 * the reaper has it. */
void lifecycle_end(struct guest *s)
{
    struct linux_driver *d = s->driver;
    bool is_stop = s->state == SANDBOX_STOPPING;

    watch_stop(&s->pid_watch);
    timer_stop(&s->deadline);
    disk_remove(&d->disk, &s->disk);
    guest_collect(s);
    state_remove(s);
    forget(s);
    s->state = SANDBOX_REAPING;
    lifecycle_answer_stops(s);
    if (!is_stop)
        d->on_exit(d->exit_ctx, s->id, reason_of(s));
    reaper_put(d, s);
}

static void on_end(void *ctx, uint32_t events)
{
    struct guest *s = ctx;

    (void)events;
    if (s->state == SANDBOX_WARM) {
        warm_lost(s);
    } else if (s->state == SANDBOX_ANSWERING) {
        watch_set(&s->pid_watch, 0); /* the control socket tells, after what was said on it */
    } else if (s->state == SANDBOX_SAVING) {
        watch_set(&s->pid_watch, 0);
        s->has_ended = true;
    } else if (s->state == SANDBOX_HOT) {
        asleep_ended(s);
    } else {
        lifecycle_end(s);
    }
}

int lifecycle_watch(struct guest *s, struct err *err)
{
    return watch_start(s->driver->loop, &s->pid_watch, s->pidfd, EPOLLIN, on_end, s, err);
}

void lifecycle_stop(struct guest *s)
{
    if (s->state == SANDBOX_RUNNING)
        begin_stop(s);
    else if (asleep_is_paused(s))
        asleep_stop(s);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a build: the start command runs, the ready command says when it does, and a snapshot
 * is taken; with the processes where the machine can, so that sandboxes begin with the service
 * running. Where it cannot, they begin with the files alone, and the log says so. Part of work.h.
 */
#include <stdio.h>

#include "base/clock.h"
#include "build/work_internal.h"

enum { GUESS_MS = 20 * 1000 };

static void check_ready(void *ctx);

static void succeed(struct work *w)
{
    struct build_result r = {
        .rootfs = w->rootfs,
        .snapshot = str_of(w->name),
        .layers = w->layers,
        .has_memory = w->keeps_memory,
        .user = w->state->user,
        .workdir = w->state->workdir,
        .start_cmd = w->start_cmd,
        .ready_cmd = w->ready_cmd,
        .env = work_env(w, false),
        .ports = {w->state->ports, w->state->port_count},
    };

    work_stop_guest(w);
    work_say(w, BUILD_INFO, "Build finished, took %llu ms",
             (unsigned long long)(clock_mono_ms() - w->began_ms));
    w->stage = WORK_ENDED;
    build_succeed(w->host.domain, str_of(w->build_id), &r); /* frees it */
}

static void on_snapshot(void *ctx, const struct err *err)
{
    struct work *w = ctx;

    if (err == NULL) {
        succeed(w);
        return;
    }
    work_release_name(w);
    if (!w->keeps_memory) {
        work_fail(w, "the template could not be kept: %s", err->text);
        return;
    }
    work_say(w, BUILD_WARN,
             "the running start command cannot be kept (%s): it will be started in each sandbox",
             err->text);
    w->keeps_memory = false;
    ignore(work_snapshot(w, false, on_snapshot)); /* a failure has been told */
}

static void take_snapshot(struct work *w)
{
    struct str why;

    work_end_lines(w);
    guest_call_free(w->start_call); /* its connection is not to be in the checkpoint */
    w->start_call = NULL;
    w->keeps_memory = w->start_cmd.len > 0 && !w->is_start_ended;
    if (w->keeps_memory && !build_can_checkpoint(w->host.domain, &why)) {
        work_say(w, BUILD_WARN,
                 "no checkpoint (%.*s): sandboxes begin with the files, without the start command",
                 STR_ARG(why));
        w->keeps_memory = false;
    }
    ignore(work_snapshot(w, w->keeps_memory, on_snapshot));
}

/* Ready? */

static void ready(struct work *w)
{
    work_say(w, BUILD_INFO, "Template is ready");
    take_snapshot(w);
}

static void not_ready(struct work *w)
{
    uint64_t waited = clock_mono_ms() - w->ready_since_ms;

    if (w->is_guess && waited > GUESS_MS)
        ready(w);
    else if (w->has_probe && !w->is_guess && ++w->probe_failures >= PROBE_FAILURES_MAX)
        work_fail(w, "http://localhost:%u%s did not answer with 2xx within %d s", w->probe.port,
                  w->probe.path, PROBE_FAILURES_MAX * PROBE_PERIOD_MS / 1000);
    else if (waited > READY_TIMEOUT_MS)
        work_fail(w, "the ready command did not succeed within %d s: %s", READY_TIMEOUT_MS / 1000,
                  w->tail);
    else
        timer_start(w->host.loop, &w->timer, w->has_probe ? PROBE_PERIOD_MS : READY_PERIOD_MS,
                    check_ready, w);
}

static void on_checked(void *ctx, int code, const struct err *err)
{
    struct work *w = ctx;

    w->call = NULL;
    if (err == NULL && (w->has_probe ? code >= 200 && code < 300 : code == 0))
        ready(w);
    else if (err != NULL && !w->has_probe && err->kind == ERR_INVALID)
        work_fail(w, "the ready command could not be run: %s", err->text);
    else
        not_ready(w);
}

static void on_check_output(void *ctx, bool is_stderr, struct str data)
{
    work_output(ctx, is_stderr, data);
}

static void check_ready(void *ctx)
{
    static const struct guest_events probe_events = {NULL, on_checked};
    static const struct guest_events events = {on_check_output, on_checked};
    struct work *w = ctx;
    struct err err = {0};
    int result;

    if (w->has_probe) {
        result = guest_get(w->host.loop, w->guest, w->probe.port, str_of(w->probe.path),
                           &probe_events, w, &w->call, &err);
    } else {
        result = guest_run(w->host.loop, w->guest, &w->check, &events, w, &w->call, &err);
    }
    if (result != 0)
        work_fail(w, "%s", err.text);
}

/* Without a word about it: 20 s for what was started (wire.md 5.5), or less when it answers. */
static void begin_checks(struct work *w)
{
    if (w->ready_cmd.len == 0 && !w->has_probe) {
        if (w->start_cmd.len == 0) {
            take_snapshot(w);
            return;
        }
        w->ready_cmd = STR("sleep 20");
    }
    w->ready_since_ms = clock_mono_ms();
    w->check = work_shell(w, w->ready_cmd, w->state->user);
    if (w->has_probe)
        work_say(w, BUILD_INFO, "Waiting for template to be ready: http://localhost:%u%s",
                 w->probe.port, w->probe.path);
    else
        work_say(w, BUILD_INFO, "Waiting for template to be ready: %.*s", STR_ARG(w->ready_cmd));
    check_ready(w);
}

static void on_start_output(void *ctx, bool is_stderr, struct str data)
{
    work_output(ctx, is_stderr, data);
}

/* A start command may end, having left what it started. One that fails at once is told. */
static void on_start_end(void *ctx, int code, const struct err *err)
{
    struct work *w = ctx;

    w->start_call = NULL;
    w->is_start_ended = true;
    work_say(w, code != 0 || err != NULL ? BUILD_WARN : BUILD_INFO,
             "[start] the start command ended with exit code %d%s%s", code, err != NULL ? ": " : "",
             err != NULL ? err->text : "");
}

static void run_start(struct work *w)
{
    static const struct guest_events events = {on_start_output, on_start_end};
    struct guest_command c;
    struct err err = {0};

    if (w->start_cmd.len > 0) {
        work_say(w, BUILD_INFO, "Running start command: %.*s", STR_ARG(w->start_cmd));
        c = work_shell(w, w->start_cmd, w->state->user);
        c.timeout_ms = 0;
        if (guest_run(w->host.loop, w->guest, &c, &events, w, &w->start_call, &err) != 0) {
            work_fail(w, "%s", err.text);
            return;
        }
    }
    begin_checks(w);
}

static void on_marked(void *ctx, int code, const struct err *err)
{
    struct work *w = ctx;

    w->call = NULL;
    if (err != NULL || code != 0)
        work_fail(w, "/.e2b could not be written: %s", err != NULL ? err->text : w->tail);
    else
        run_start(w);
}

static void on_started(void *ctx, const struct err *err)
{
    static const struct guest_events events = {on_check_output, on_marked};
    struct work *w = ctx;
    struct step_command mark = {
        .script = step_finish,
        .env = {{STR("TEMPLATE"), str_of(w->template_id)}, {STR("BUILD"), str_of(w->build_id)}},
        .env_count = 2,
    };
    struct guest_command c;
    struct err why = {0};

    if (err != NULL) {
        work_fail(w, "a sandbox for the build could not be started: %s", err->text);
        return;
    }
    c = work_script(w, &mark);
    if (guest_run(w->host.loop, w->guest, &c, &events, w, &w->call, &why) != 0)
        work_fail(w, "%s", why.text);
}

/* The first that EXPOSE named and TCP reaches. */
static bool exposed_port(const struct work *w, uint16_t *out)
{
    for (size_t i = 0; i < w->state->port_count; i++) {
        struct str protocol;
        uint64_t port;

        if (!str_to_u64(str_cut(w->state->ports[i], '/', &protocol), &port) ||
            !str_is(protocol, "tcp"))
            continue;
        *out = (uint16_t)port; /* step_expose() has looked */
        return true;
    }
    return false;
}

/* What was asked for, else a ready command that is a URL, else what is exposed (CT-23, RX-28). */
static void choose_probe(struct work *w)
{
    if (w->plan->has_probe_port) {
        w->has_probe = true;
        w->probe.port = (uint16_t)w->plan->probe_port;
        ignore(snprintf(w->probe.path, sizeof(w->probe.path), "%.*s",
                        STR_ARG(w->plan->probe_path.len > 0 ? w->plan->probe_path : STR("/"))));
    } else if (probe_is_url(w->ready_cmd)) {
        w->has_probe = probe_find(w->ready_cmd, &w->probe);
    } else if (w->ready_cmd.len == 0 && w->start_cmd.len > 0) {
        w->has_probe = w->is_guess = exposed_port(w, &w->probe.port);
        ignore(snprintf(w->probe.path, sizeof(w->probe.path), "/health"));
    }
}

enum work_stage work_finish(struct work *w)
{
    ignore(str_to_c(STR("finalize"), w->label, sizeof(w->label)));
    w->tail[0] = '\0';
    choose_probe(w);
    return work_start_guest(w, on_started) == 0 ? WORK_WAIT : WORK_ENDED;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See worker.h: reads the configuration, finds the key, runs the worker until it is told to end. It
 * needs neither root nor a server on this machine. */
#include "main/worker.h"

#include <signal.h>
#include <stdio.h>

#include "base/log.h"
#include "main/role.h"
#include "worker/worker.h"

#ifndef SANDLOT_VERSION
#define SANDLOT_VERSION "0.0.0"
#endif

static const char file_default[] = "config.yaml", url_default[] = "ws://127.0.0.1:49134";

struct ending {
    struct loop *loop;
    struct worker *worker;
};

static void on_signal(void *ctx)
{
    struct ending *e = ctx;

    worker_drain(e->worker);
}

static void on_end(void *ctx)
{
    struct ending *e = ctx;

    loop_stop(e->loop);
}

static int print_sample(const struct invocation *v)
{
    struct buf out;
    bool is_ok;

    buf_init(&out, 1 << 16);
    settings_sample(&out);
    is_ok = buf_ok(&out) && fwrite(out.at, 1, out.len, stdout) == out.len;
    buf_done(&out);
    return is_ok ? EXIT_SUCCESS : command_fail(v, "cannot write");
}

static int read_settings(const struct invocation *v, struct settings *s)
{
    const char *file = command_value(v, "--config");
    struct err err;

    if (file == NULL && command_value(v, "--defaults") == NULL)
        file = file_default;
    if (file != NULL && command_value(v, "--defaults") != NULL)
        return command_misuse(v, "--config or --defaults, not both");
    if (settings_load(s, file, &err) == 0)
        return EXIT_SUCCESS;
    command_fail(v, "%s%s", err.text,
                 err.kind == ERR_NOT_FOUND ? "; --defaults starts without a file" : "");
    return EXIT_USAGE;
}

/* A router asks no API. */
static int find_key(const struct invocation *v, const struct settings *s, const char **out)
{
    const char *key = getenv(s->api_key_env);

    *out = key == NULL ? "" : key;
    if (**out != '\0' || strcmp(s->mode, "router") == 0)
        return EXIT_SUCCESS;
    command_fail(v, "the API's key is not there: set the variable %s", s->api_key_env);
    return EXIT_USAGE;
}

static int run(const struct invocation *v, const struct worker_spec *spec)
{
    struct worker_spec own = *spec;
    struct ending e = {0};
    struct err err;
    int status = EXIT_FAILURE;

    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || loop_new(&e.loop, &err) != 0)
        return command_fail(v, "cannot start");
    own.on_end = on_end;
    own.ctx = &e;
    if (loop_on_signal(e.loop, SIGTERM, on_signal, &e, &err) != 0 ||
        loop_on_signal(e.loop, SIGINT, on_signal, &e, &err) != 0 ||
        worker_new(e.loop, &own, &e.worker, &err) != 0 || loop_run(e.loop, &err) != 0)
        command_fail(v, "%s", err.text);
    else if (!worker_was_refused(e.worker))
        status = EXIT_SUCCESS;
    worker_free(e.worker);
    loop_free(e.loop);
    return status;
}

static int run_with(const struct invocation *v, struct settings *settings)
{
    const char *url = command_value(v, "--url");
    struct worker_spec spec = {.settings = settings, .version = SANDLOT_VERSION};
    struct err err;
    int status = read_settings(v, settings);

    if (status == EXIT_SUCCESS)
        status = find_key(v, settings, &spec.key);
    if (status != EXIT_SUCCESS)
        return status;
    if (url == NULL)
        url = getenv("III_URL");
    if (url == NULL || *url == '\0')
        url = url_default;
    if (address_parse(str_of(url), ADDRESS_WS, &spec.engine, &err) != 0)
        return command_misuse(v, "--url: %s", err.text);
    return run(v, &spec);
}

int worker_command(const struct invocation *v)
{
    const struct program *program = v->ctx;
    struct settings settings = {0};
    int status;

    if (command_value(v, "--sample") != NULL)
        return print_sample(v);
    config_log(&program->config, "worker");
    status = run_with(v, &settings);
    settings_done(&settings);
    return status;
}

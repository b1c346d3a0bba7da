/* SPDX-License-Identifier: Apache-2.0 */
/* sandlot serve: prepare the machine, watch the roles, say when it is ready; see serve.h. */
#include "main/serve.h"

#include <signal.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "main/control.h"
#include "main/role.h"

struct server {
    const struct config *config;
    struct layout layout;
    struct supervisor *supervisor;
    struct control *control;
    uint64_t started_ms;
};

static void on_ready(void *ctx)
{
    const struct server *s = ctx;
    const char *listen = s->config->listen;
    const char *colon = strrchr(listen, ':');

    printf("sandlot: ready on http://%.*s:%u in %llu ms\n", (int)(colon - listen), listen,
           s->layout.port, (unsigned long long)(clock_mono_ms() - s->started_ms));
    ignore(fflush(stdout)); /* nobody may be reading */
}

static void on_stop(void *ctx)
{
    struct server *s = ctx;

    supervisor_stop(s->supervisor);
}

static void warn_about_root(const struct config *c, const struct layout *l)
{
    if (l->api.uid == 0)
        log_warn("serve.unwise", "api_user=%s note=\"api would survive a bug as root\"",
                 c->api_user);
    if (l->edge.uid == 0)
        log_warn("serve.unwise", "edge_user=%s note=\"edge would survive a bug as root\"",
                 c->edge_user);
    if (l->egress.uid == 0)
        log_warn("serve.unwise", "egress_user=%s note=\"egress would survive a bug as root\"",
                 c->egress_user);
}

/* CT-38: there is no registry behind ours whose lack of a password could matter, but there are
 * passwords on the way to it. */
static void warn_about_clear_text(const struct config *c)
{
    if (config_is_in_the_clear(c))
        log_warn("serve.unwise",
                 "listen=%s note=\"keys, and passwords for pushing images, pass in clear text: set "
                 "tls.certificates\"",
                 c->listen);
}

static int run(struct loop *l, struct server *s, struct err *err)
{
    static const int stops[] = {SIGTERM, SIGINT, SIGHUP};
    const struct run_home home = {.loop = l, .layout = &s->layout, .program = "/proc/self/exe"};

    for (size_t i = 0; i < COUNT_OF(stops); i++) {
        if (loop_on_signal(l, stops[i], on_stop, s, err) != 0)
            return -1;
    }
    if (supervisor_new(&home, s->config, on_ready, s, &s->supervisor, err) != 0 ||
        control_new(l, take_fd(&s->layout.serve_fd), s->supervisor, &s->control, err) != 0)
        return -1;
    if (loop_run(l, err) != 0)
        return -1;
    if (supervisor_has_failed(s->supervisor))
        return err_set(err, ERR_UNAVAILABLE, "a role could not start");
    return 0;
}

int serve(const struct invocation *v)
{
    const struct program *program = v->ctx;
    struct server s = {.config = &program->config, .started_ms = clock_mono_ms()};
    struct loop *l = NULL;
    struct err err;
    int result;

    config_log(&program->config, "serve");
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return command_fail(v, "ignore SIGPIPE");
    if (layout_open(&program->config, &s.layout, &err) != 0)
        return command_fail(v, "%s", err.text);
    warn_about_root(&program->config, &s.layout);
    warn_about_clear_text(&program->config);
    result = loop_new(&l, &err) == 0 ? run(l, &s, &err) : -1;
    control_free(s.control);
    supervisor_free(s.supervisor);
    loop_free(l);
    layout_close(&s.layout);
    return result == 0 ? EXIT_SUCCESS : command_fail(v, "%s", err.text);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* envd: the guest daemon. PID 1 of a sandbox, or with --not-init an ordinary process for tests.
 *
 * The node starts it with descriptor 3 connected to the node and the first request, POST /init,
 * already waiting in it. The port is open before that is answered. No log: a sandbox has no place
 * for it; failing to start is the exit code and a line on stderr. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "envd/guest.h"
#include "envd/routes.h"
#include "envd/spawn.h"

enum {
    DRAIN_MAX = 64 << 20, /* body bytes read and dropped behind an early refusal */
    STALL_MS = 0,         /* streams are silent for hours; each user has its own limits */
    CONNECTIONS_MAX = 4096,
};

struct options {
    uint16_t port;
    bool is_init;
    int control_fd; /* -1: none */
};

static int usage(void)
{
    static const char text[] =
        "usage: envd [--port <number>] [--not-init] [--control-fd <number>]\n";

    ignore(write(2, text, sizeof(text) - 1)); /* nowhere else to say it */
    return 2;
}

static bool parse_number(const char *text, uint64_t max, uint64_t *out)
{
    return text != NULL && str_to_u64(str_of(text), out) && *out <= max;
}

static bool parse_options(int argc, char **argv, struct options *out)
{
    uint64_t number;

    *out = (struct options){GUEST_PORT, true, GUEST_CONTROL_FD};
    for (int i = 1; i < argc; i++) {
        struct str option = str_of(argv[i]);

        if (str_is(option, "--not-init")) {
            out->is_init = false;
            out->control_fd = -1;
        } else if (str_is(option, "--port") && parse_number(argv[i + 1], UINT16_MAX, &number)) {
            out->port = (uint16_t)number;
            i++;
        } else if (str_is(option, "--control-fd") && parse_number(argv[i + 1], 1023, &number)) {
            out->control_fd = (int)number;
            i++;
        } else {
            return false;
        }
    }
    return true;
}

/* 0, 1 and 2 must be taken, or a pipe for a child would get one of these numbers. */
static void fill_standard_fds(void)
{
    int fd = open("/dev/null", O_RDWR);

    while (fd >= 0 && fd < 3)
        fd = open("/dev/null", O_RDWR);
    if (fd >= 3)
        close(fd);
}

/* Before its processes, see spawn.h. Needs no right. */
static void raise_io_priority(void)
{
    enum {
        OF_PROCESS = 1,
        BEST_EFFORT_0 = 2 << 13,
    };

    ignore(syscall(SYS_ioprio_set, (long)OF_PROCESS, 0L, (long)BEST_EFFORT_0)); /* a preference */
}

static void on_child(void *ctx)
{
    struct guest *g = ctx;

    processes_reap(&g->processes);
}

static void on_terminate(void *ctx)
{
    struct guest *g = ctx;

    if (!g->is_init)
        loop_stop(g->loop); /* PID 1 stays: its end would be the end of the sandbox */
}

static int start(struct guest *g, const struct options *o, struct err *err)
{
    static const struct http_limits limits = {
        .stall_ms = STALL_MS, .connections_max = CONNECTIONS_MAX, .drain_max = DRAIN_MAX};

    if (loop_new(&g->loop, err) != 0)
        return -1;
    processes_init(&g->processes, g->loop);
    watchers_init(&g->watchers, g->loop);
    if (http_server_new(g->loop, &limits, routes_serve, g, &g->server, err) != 0 ||
        loop_on_signal(g->loop, SIGCHLD, on_child, g, err) != 0 ||
        loop_on_signal(g->loop, SIGTERM, on_terminate, g, err) != 0 ||
        guest_listen(g, o->port, err) != 0)
        return -1;
    if (o->control_fd >= 0)
        http_server_adopt(g->server, o->control_fd, TAG_CONTROL);
    return 0;
}

static void stop(struct guest *g)
{
    processes_done(&g->processes);
    for (size_t i = 0; i < COUNT_OF(g->listeners); i++)
        listener_stop(&g->listeners[i]);
    http_server_free(g->server);
    watchers_done(&g->watchers);
    arena_done(&g->config_arena);
    loop_free(g->loop);
}

int main(int argc, char **argv)
{
    const char *path = getenv("PATH");
    struct guest g = {.path_env = path};
    struct options o;
    struct err err;

    if (argc == 2 && argv[1][0] == ' ')
        g.title = argv[--argc];
    if (!parse_options(argc, argv, &o))
        return usage();
    if (path == NULL || path[0] == '\0')
        g.path_env = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    g.is_init = o.is_init;
    arena_init(&g.config_arena, GUEST_CONFIG_MAX);
    if (!o.is_init || fcntl(2, F_GETFD) < 0)
        fill_standard_fds();
    /* Executed by descriptor, its name would be a number on older kernels. */
    ignore(prctl(PR_SET_NAME, "envd", 0, 0, 0)); /* cannot fail */
    if (!o.is_init)
        spawn_reset_signals(); /* the runtime has done it for a sandbox */
    spawn_ignore_signals();
    raise_io_priority();
    umask(022);
    if (o.control_fd >= 0)
        ignore(fcntl(o.control_fd, F_SETFD, FD_CLOEXEC)); /* EBADF shows when it is read */
    if (start(&g, &o, &err) != 0 || loop_run(g.loop, &err) != 0) {
        char line[sizeof(err.text) + 16];
        int len = snprintf(line, sizeof(line), "envd: %s\n", err.text);

        ignore(write(STDERR_FILENO, line, (size_t)len)); /* nowhere else to say it */
        return 1;
    }
    stop(&g);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* sandlot-interpreter: runs inside a sandbox, on port 49999, in front of the kernels that run code.
 * Started by the start command of the template code-interpreter-v1, as the sandbox's user. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#include "interpreter/service.h"
#include "io/socket.h"

enum {
    PORT = 49999,
    ENVD_PORT = 49983,
    CONNECTIONS_MAX = 512,
    PATH_BYTES = 4096,
    LISTENERS = 2,
};

struct options {
    uint16_t port, envd_port;
    const char *kernels_dir, *home;
};

struct program {
    struct loop *loop;
    struct http_server *server;
    struct listener listeners[LISTENERS];
    struct contexts *contexts;
    struct service service;
    char run_dir[PATH_BYTES];
};

static int usage(void)
{
    fputs("usage: sandlot-interpreter [--port <number>] [--envd-port <number>]\n"
          "                           [--kernels <directory>] [--home <directory>]\n",
          stderr);
    return 2;
}

static bool parse_port(const char *text, uint16_t *out)
{
    uint64_t number;

    if (!str_to_u64(str_of(text), &number) || number > UINT16_MAX)
        return false;
    *out = (uint16_t)number;
    return true;
}

static bool parse_options(int argc, char **argv, struct options *o)
{
    const char *home = getenv("HOME");

    *o = (struct options){PORT, ENVD_PORT, "/usr/local/lib/sandlot-interpreter",
                          home == NULL ? "/" : home};
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 == argc)
            return false;
        if (strcmp(argv[i], "--port") == 0 && parse_port(argv[i + 1], &o->port))
            continue;
        if (strcmp(argv[i], "--envd-port") == 0 && parse_port(argv[i + 1], &o->envd_port))
            continue;
        if (strcmp(argv[i], "--kernels") == 0)
            o->kernels_dir = argv[i + 1];
        else if (strcmp(argv[i], "--home") == 0)
            o->home = argv[i + 1];
        else
            return false;
    }
    return true;
}

static void adopt(void *ctx, int fd)
{
    struct program *p = ctx;

    socket_no_delay(fd);
    http_server_adopt(p->server, fd, 0);
}

static int listen_on(struct program *p, struct listener *s, const char *host, uint16_t port,
                     struct err *err)
{
    char address[64];
    int fd;

    snprintf(address, sizeof(address), "%s:%u", host, port);
    if (socket_listen_tcp(address, false, &fd, err) != 0)
        return -1;
    return listener_start(s, p->loop, fd, adopt, p, err);
}

/* A sandbox may have no IPv6; where it has, "localhost" may mean that first. */
static int listen_both(struct program *p, uint16_t port, struct err *err)
{
    struct err no_ipv6;

    if (listen_on(p, &p->listeners[0], "0.0.0.0", port, err) != 0)
        return -1;
    ignore(listen_on(p, &p->listeners[1], "[::1]", port, &no_ipv6));
    return 0;
}

static void on_terminate(void *ctx)
{
    struct program *p = ctx;

    loop_stop(p->loop);
}

/* Sockets of kernels: nobody else's to open. */
static int make_run_dir(struct program *p, struct err *err)
{
    const char *dir = getenv("TMPDIR");

    snprintf(p->run_dir, sizeof(p->run_dir), "%s/sandlot-interpreter.XXXXXX",
             dir == NULL || strlen(dir) > 60 ? "/tmp" : dir);
    return mkdtemp(p->run_dir) != NULL ? 0 : err_sys(err, errno, "make '%s'", p->run_dir);
}

/* Who started us may wait for a word (envd/service.h); the kernels write to nobody. */
static void say_ready(void)
{
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

    ignore(write(STDOUT_FILENO, "ready\n", 6)); /* nobody may listen */
    if (null_fd >= 0)
        ignore(dup2(null_fd, STDOUT_FILENO)); /* cannot fail */
}

static int start(struct program *p, const struct options *o, struct err *err)
{
    static const struct http_limits limits = {.connections_max = CONNECTIONS_MAX};

    if (loop_new(&p->loop, err) != 0 || make_run_dir(p, err) != 0 ||
        loop_on_signal(p->loop, SIGTERM, on_terminate, p, err) != 0 ||
        loop_on_signal(p->loop, SIGINT, on_terminate, p, err) != 0 ||
        http_server_new(p->loop, &limits, service_serve, &p->service, &p->server, err) != 0 ||
        listen_both(p, o->port, err) != 0)
        return -1;
    p->contexts = contexts_new(&(struct contexts_config){
        .place = {p->loop, o->kernels_dir, p->run_dir},
        .home = o->home,
        .envd_port = o->envd_port,
    });
    service_init(&p->service, p->loop, p->contexts);
    say_ready();
    return 0;
}

static void stop(struct program *p)
{
    for (size_t i = 0; i < LISTENERS; i++)
        listener_stop(&p->listeners[i]);
    contexts_free(p->contexts);
    http_server_free(p->server);
    service_done(&p->service);
    ignore(rmdir(p->run_dir)); /* what a kernel left in it stays */
}

int main(int argc, char **argv)
{
    static struct program p;
    struct options o;
    struct err err;

    if (!parse_options(argc, argv, &o))
        return usage();
    for (size_t i = 0; i < LISTENERS; i++)
        p.listeners[i].fd = -1;
    signal(SIGPIPE, SIG_IGN);
    if (start(&p, &o, &err) != 0 || loop_run(p.loop, &err) != 0) {
        fprintf(stderr, "sandlot-interpreter: %s\n", err.text);
        return 1;
    }
    stop(&p);
    return 0;
}

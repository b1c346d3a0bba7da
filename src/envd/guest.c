/* SPDX-License-Identifier: Apache-2.0 */
/* State of this envd as handlers ask for it: listeners, variables, users, the files that tell
 * programs where they are. */
#include "envd/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "io/control.h"

enum {
    HOSTS_MAX = 64 << 10, /* a larger /etc/hosts is left alone */
    SETTLE_MS = 0, /* once /init is answered: its answer still has a way to go to the client */
};

static void adopt_port(void *ctx, int fd)
{
    struct guest *g = ctx;

    socket_no_delay(fd);
    http_server_adopt(g->server, fd, TAG_PORT);
}

static void adopt_control(void *ctx, int fd)
{
    struct guest *g = ctx;

    if (control_is_host(fd))
        http_server_adopt(g->server, fd, TAG_CONTROL);
    else
        close(fd);
}

static int listen_on(struct guest *g, struct listener *l, const char *host, uint16_t port,
                     struct err *err)
{
    char address[64];
    int fd;

    snprintf(address, sizeof(address), "%s:%u", host, port);
    if (socket_listen_tcp(address, false, &fd, err) != 0)
        return -1;
    return listener_start(l, g->loop, fd, adopt_port, g, err);
}

int guest_listen(struct guest *g, uint16_t port, struct err *err)
{
    struct err no_ipv6;
    int fd;

    if (g->is_init && (control_listen(&fd, err) != 0 ||
                       listener_start(&g->control, g->loop, fd, adopt_control, g, err) != 0))
        return -1;
    /* An IPv6 socket may or may not take IPv4 as well (a host setting): try the wide one, then add
     * IPv4, which fails as "in use" when the first has it already. */
    if (listen_on(g, &g->listeners[0], "[::]", port, &no_ipv6) != 0)
        return listen_on(g, &g->listeners[0], "0.0.0.0", port, err);
    if (port == 0)
        port = socket_port(g->listeners[0].fd);
    if (listen_on(g, &g->listeners[1], "0.0.0.0", port, err) != 0 && err->sys != EADDRINUSE)
        return -1;
    return 0;
}

int guest_internal_envs(const struct guest *g, struct env *e, struct err *err)
{
    const struct init_request *c = &g->config;

    if (env_set(e, STR("E2B_SANDBOX"), STR("true"), err) != 0)
        return -1;
    if (c->sandbox_id.len > 0 && env_set(e, STR("E2B_SANDBOX_ID"), c->sandbox_id, err) != 0)
        return -1;
    if (c->template_id.len > 0 && env_set(e, STR("E2B_TEMPLATE_ID"), c->template_id, err) != 0)
        return -1;
    if (c->events_address.len > 0) {
        bool is_ipv6 = str_find(c->events_address, ':') >= 0;
        const char *url = arena_printf(e->arena, is_ipv6 ? "http://[%.*s]" : "http://%.*s",
                                       STR_ARG(c->events_address));

        if (url == NULL)
            return err_set(err, ERR_LIMIT, "out of memory");
        return env_set(e, STR("E2B_EVENTS_ADDRESS"), str_of(url), err);
    }
    return 0;
}

int guest_envs(const struct guest *g, struct arena *a, struct codec_list *out, struct err *err)
{
    const struct codec_list *envs = &g->config.envs;
    struct env e;

    if (env_init(&e, a, envs->count + GUEST_INTERNAL_ENVS, err) != 0 ||
        env_set_all(&e, envs, err) != 0 || guest_internal_envs(g, &e, err) != 0)
        return -1;
    *out = (struct codec_list){e.pairs, e.count};
    return 0;
}

int guest_user(const struct guest *g, struct str name, struct arena *a, struct user *out,
               struct err *err)
{
    bool is_default = name.len == 0;

    if (is_default)
        name = g->config.user.len > 0 ? g->config.user : STR("root");
    if (user_find(name, a, out, err) == 0)
        return 0;
    if (err->kind != ERR_NOT_FOUND)
        return -1;
    return err_set(err, ERR_UNAUTHENTICATED, "invalid %s: '%.*s'",
                   is_default ? "default user" : "username", STR_ARG(str_upto(name, 100)));
}

/* Failures are harmless: the root file system may be read-only. */
static void write_file(const char *path, struct str text)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644);

    if (fd >= 0)
        ignore(write(fd, text.at, text.len)); /* as above */
}

static bool is_our_line(struct str line)
{
    return str_has_prefix(line, "127.0.1.1\t") || str_has_suffix(line, "\tevents.e2b.local");
}

/* Give the sandbox's name an address, once: sudo and others look it up. And the one that events go
 * to, if there is one. */
static void settle_hosts(struct str hostname, struct str events_address)
{
    auto_fd int fd = open("/etc/hosts", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct buf old, new;
    ssize_t got = 0;
    struct str rest;
    char *room;

    buf_init(&old, HOSTS_MAX);
    buf_init(&new, HOSTS_MAX + 1024);
    while (fd >= 0 && (room = buf_room(&old, 4096)) != NULL && (got = read(fd, room, 4096)) > 0)
        buf_fill(&old, (size_t)got);
    if (fd < 0)
        buf_add_text(&old, "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
    rest = buf_str(&old);
    while (rest.len > 0) {
        struct str line = str_cut(rest, '\n', &rest);

        if (is_our_line(line))
            continue;
        buf_add_str(&new, line);
        buf_add_byte(&new, '\n');
    }
    if (hostname.len > 0)
        buf_printf(&new, "127.0.1.1\t%.*s\n", STR_ARG(hostname));
    if (events_address.len > 0)
        buf_printf(&new, "%.*s\tevents.e2b.local\n", STR_ARG(events_address));
    if (buf_ok(&old) && buf_ok(&new))
        write_file("/etc/hosts", buf_str(&new));
    buf_done(&old);
    buf_done(&new);
}

static void make_run_dir(void)
{
    ignore(mkdir("/run", 0755));     /* small images have none */
    ignore(mkdir("/run/e2b", 0755)); /* exists after the first time */
}

static void name_process(char *title, struct str id)
{
    size_t room;

    if (title == NULL || id.len > (room = strlen(title)))
        return;
    memset(title, ' ', room); /* an earlier one of another length */
    memcpy(title, id.at, id.len);
}

void guest_settle(struct guest *g)
{
    const struct init_request *c = &g->config;

    timer_stop(&g->settling);
    if (g->is_settled || !g->is_init)
        return;
    g->is_settled = true;
    if (c->hostname.len > 0) {
        char line[256];

        snprintf(line, sizeof(line), "%.*s\n", STR_ARG(c->hostname));
        write_file("/etc/hostname", str_of(line));
    }
    if (c->hostname.len > 0 || c->events_address.len > 0)
        settle_hosts(c->hostname, c->events_address);
    name_process(g->title, c->sandbox_id);
    make_run_dir();
    write_file("/run/e2b/.E2B_SANDBOX", STR("true"));
    write_file("/run/e2b/.E2B_SANDBOX_ID", c->sandbox_id);
    write_file("/run/e2b/.E2B_TEMPLATE_ID", c->template_id);
}

/* A file of the image that will be written when this sandbox gets its name: opened for that it is
 * copied to the sandbox's own layer, as it is. */
static void copy_up(const char *path)
{
    auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK);

    ignore(fd < 0); /* not there, or read-only: it is written later or not at all */
}

static void on_node_gone(void *ctx, uint32_t events)
{
    struct guest *g = ctx;

    (void)events;
    loop_stop(g->loop); /* nobody knows of this sandbox any more */
}

/* On a descriptor of its own: the server watches the other one, and may close it. */
static void watch_node(struct guest *g)
{
    int fd = fcntl(GUEST_CONTROL_FD, F_DUPFD_CLOEXEC, GUEST_CONTROL_FD + 1);
    struct err err;

    if (fd >= 0 && watch_start(g->loop, &g->node_watch, fd, 0, on_node_gone, g, &err) == 0)
        return;
    own_close_fd(&fd);
    loop_stop(g->loop); /* it could be left behind */
}

void guest_prepare(struct guest *g)
{
    if (!g->is_init || g->is_waiting || g->config.has_sandbox_id)
        return;
    g->is_waiting = true;
    watch_node(g);
    copy_up("/etc/hostname");
    copy_up("/etc/hosts");
    make_run_dir();
}

void guest_claimed(struct guest *g)
{
    int fd = g->node_watch.fd;

    if (g->node_watch.loop != NULL) {
        watch_stop(&g->node_watch);
        own_close_fd(&fd);
    }
    g->is_waiting = false;
}

static void on_settling(void *ctx)
{
    guest_settle(ctx);
}

void guest_settle_soon(struct guest *g)
{
    g->is_settled = false;
    timer_start(g->loop, &g->settling, SETTLE_MS, on_settling, g);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Directories, token, lock and sockets of `serve`; see layout.h. */
#include "main/layout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cli/remote.h"
#include "edge/edge.h"
#include "io/socket.h"

struct place {
    const char *name; /* below data_dir; "" is itself */
    mode_t mode;
    bool is_apis;
};

static const struct place places[] = {
    {"",             0755, false},
    {"api",          0700, true },
    {"rootfs",       0700, false},
    {"rootfs/empty", 0755, false}, /* what the layers of an image stand on */
    {"layers",       0700, false},
    {"registry",     0700, true }, /* images that are pushed */
    {"templates",    0755, false},
};

/* Makes a directory and those above it. What exists already is left as its owner made it. */
static int make_dir(const char *path, mode_t mode, const struct user *owner, struct err *err)
{
    char part[PATH_MAX];

    if (!str_to_c(str_of(path), part, sizeof part))
        return err_set(err, ERR_INVALID, "path is too long");
    for (char *c = part + 1; *c != '\0'; c++) {
        if (*c != '/')
            continue;
        *c = '\0';
        if (mkdir(part, 0755) == 0)
            ignore(chmod(part, 0755)); /* whatever the umask; check_reach() looks at the result */
        else if (errno != EEXIST)
            return err_sys(err, errno, "make '%s'", part);
        *c = '/';
    }
    if (mkdir(path, mode) == 0) {
        if (chmod(path, mode) != 0) /* whatever the umask */
            return err_sys(err, errno, "make '%s'", path);
    } else if (errno != EEXIST) {
        return err_sys(err, errno, "make '%s'", path);
    }
    if (owner != NULL && chown(path, owner->uid, owner->gid) != 0)
        return err_sys(err, errno, "give '%s' to uid %u", path, owner->uid);
    return 0;
}

/* A role that is not root must reach its files; find out now, with a sentence, not later. */
static int check_reach(const char *path, const struct user *user, struct err *err)
{
    char part[PATH_MAX];

    if (user->uid == 0 || !str_to_c(str_of(path), part, sizeof part))
        return 0;
    for (char *c = part + 1;; c++) {
        bool is_end = *c == '\0';
        struct stat st;
        mode_t need;

        if (*c != '/' && !is_end)
            continue;
        *c = '\0';
        if (stat(part, &st) != 0)
            return err_sys(err, errno, "look at '%s'", part);
        need = st.st_uid == user->uid ? S_IXUSR : st.st_gid == user->gid ? S_IXGRP : S_IXOTH;
        if ((st.st_mode & need) == 0)
            return err_set(err, ERR_DENIED,
                           "uid %u may not enter '%s', which is above its files; chmod o+x it, or "
                           "choose another directory",
                           user->uid, part);
        if (is_end)
            return 0;
        *c = '/';
    }
}

static int make_dirs(const struct config *c, const struct layout *l, struct err *err)
{
    char path[PATH_MAX];

    for (size_t i = 0; i < COUNT_OF(places); i++) {
        const struct place *p = &places[i];

        config_path(path, sizeof path, c->data_dir, p->name);
        if (make_dir(path, p->mode, p->is_apis ? &l->api : NULL, err) != 0)
            return -1;
    }
    if (make_dir(c->run_dir, 0755, NULL, err) != 0)
        return -1;
    if (check_reach(c->data_dir, &l->api, err) != 0 || check_reach(c->run_dir, &l->api, err) != 0)
        return -1;
    return check_reach(c->run_dir, &l->edge, err);
}

static int lock(const struct config *c, struct layout *l, struct err *err)
{
    char path[PATH_MAX];

    config_path(path, sizeof path, c->data_dir, "serve.lock");
    l->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (l->lock_fd < 0)
        return err_sys(err, errno, "open '%s'", path);
    if (flock(l->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK
                   ? err_set(err, ERR_CONFLICT, "another server uses '%s'", c->data_dir)
                   : err_sys(err, errno, "lock '%s'", path);
    return 0;
}

static int make_token(const char *path, char *token, struct err *err)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_sys(err, errno, "make '%s'", path);
    id_token(token);
    errno = ENOSPC; /* of a write that is only short */
    if (write(fd, token, TOKEN_HEX_LEN) == TOKEN_HEX_LEN && write(fd, "\n", 1) == 1 &&
        fsync(fd) == 0)
        return 0;
    err_sys(err, errno, "write '%s'", path);
    ignore(unlink(path)); /* half a token would stop every later start */
    return -1;
}

static int read_token(const struct config *c, struct layout *l, struct err *err)
{
    char path[PATH_MAX];
    auto_fd int fd = -1;

    config_path(path, sizeof path, c->data_dir, cli_admin_token_file);
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return make_token(path, l->admin_token, err);
    if (fd < 0)
        return err_sys(err, errno, "open '%s'", path);
    if (read(fd, l->admin_token, TOKEN_HEX_LEN) != TOKEN_HEX_LEN)
        return err_set(err, ERR_INVALID, "'%s' does not hold a token; remove it to get a new one",
                       path);
    return 0;
}

/* One listener for each loop. With SO_REUSEPORT two servers could share a port unnoticed, so it is
 * taken alone once. */
static int listen_tcp(const char *text, size_t count, int *fds, size_t *out_count, struct err *err)
{
    char address[128];
    const char *colon = strrchr(text, ':');
    int alone;
    uint16_t port;

    if (socket_listen_tcp(text, false, &alone, err) != 0)
        return err->sys == EADDRINUSE ? err_wrap(err, "is another server running?")
                                      : err_wrap(err, "listen");
    port = socket_port(alone);
    close(alone);
    if (colon == NULL || (size_t)snprintf(address, sizeof address, "%.*s:%u", (int)(colon - text),
                                          text, port) >= sizeof address)
        return err_set(err, ERR_INVALID, "bad address '%s'", text);
    while (*out_count < count) {
        if (socket_listen_tcp(address, true, &fds[*out_count], err) != 0)
            return -1;
        (*out_count)++;
    }
    return 0;
}

static int listen_clients(const struct config *c, struct layout *l, struct err *err)
{
    size_t count = edge_loops((unsigned)c->edge_loops);

    if (listen_tcp(c->listen, count, l->listen_fds, &l->listen_count, err) != 0)
        return -1;
    l->port = socket_port(l->listen_fds[0]);
    if (c->edge_data_listen[0] == '\0')
        return 0;
    return listen_tcp(c->edge_data_listen, count, l->data_fds, &l->data_count, err);
}

/* Nobody but the user who connects gets in, at no moment. */
static int listen_unix(const struct config *c, const char *name, int type, const struct user *user,
                       int *out_fd, struct err *err)
{
    char path[PATH_MAX];
    auto_fd int fd = -1;
    mode_t mask;
    int result;

    config_path(path, sizeof path, c->run_dir, name);
    mask = umask(077);
    result = socket_listen_unix(path, type, &fd, err);
    umask(mask);
    if (result != 0)
        return -1;
    if (chmod(path, 0600) != 0 || chown(path, user->uid, user->gid) != 0)
        return err_sys(err, errno, "give '%s' to uid %u", path, user->uid);
    *out_fd = take_fd(&fd);
    return 0;
}

static int listen_all(const struct config *c, struct layout *l, struct err *err)
{
    static const struct user root;

    if (listen_clients(c, l, err) != 0 ||
        listen_unix(c, cli_api_socket, SOCK_STREAM, &l->edge, &l->api_fd, err) != 0 ||
        listen_unix(c, "routes.sock", SOCK_SEQPACKET, &l->edge, &l->routes_fd, err) != 0 ||
        listen_unix(c, "node.sock", SOCK_SEQPACKET, &l->api, &l->node_fd, err) != 0)
        return -1;
    if (listen_unix(c, "dial.sock", SOCK_SEQPACKET, &l->edge, &l->dial_fd, err) != 0)
        return -1;
    if (listen_unix(c, "egress.sock", SOCK_SEQPACKET, &root, &l->egress_fd, err) != 0)
        return -1;
    return listen_unix(c, cli_serve_socket, SOCK_SEQPACKET, &root, &l->serve_fd, err);
}

int layout_open(const struct config *c, struct layout *l, struct err *err)
{
    *l = (struct layout){.lock_fd = -1,
                         .api_fd = -1,
                         .routes_fd = -1,
                         .node_fd = -1,
                         .dial_fd = -1,
                         .egress_fd = -1,
                         .serve_fd = -1};
    if (geteuid() != 0)
        return err_set(err, ERR_DENIED,
                       "serve must be started by root: it makes namespaces and cgroups (edge, "
                       "api and egress run as %s, %s and %s)",
                       c->edge_user, c->api_user, c->egress_user);
    if (user_find(c->api_user, &l->api, err) != 0 || user_find(c->edge_user, &l->edge, err) != 0 ||
        user_find(c->egress_user, &l->egress, err) != 0)
        return -1;
    if (make_dirs(c, l, err) == 0 && lock(c, l, err) == 0 && read_token(c, l, err) == 0 &&
        listen_all(c, l, err) == 0)
        return 0;
    layout_close(l);
    return -1;
}

void layout_close(struct layout *l)
{
    int *const fds[] = {&l->lock_fd, &l->api_fd,    &l->routes_fd, &l->node_fd,
                        &l->dial_fd, &l->egress_fd, &l->serve_fd};

    for (size_t i = 0; i < COUNT_OF(fds); i++) {
        own_close_fd(fds[i]);
        *fds[i] = -1;
    }
    while (l->listen_count > 0)
        own_close_fd(&l->listen_fds[--l->listen_count]);
    while (l->data_count > 0)
        own_close_fd(&l->data_fds[--l->data_count]);
}

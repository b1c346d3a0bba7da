/* SPDX-License-Identifier: Apache-2.0 */
/* Opening sockets: listen, connect, pairs, and the listener on the loop. Packets: packet.c. */
#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum {
    SOCKET_BACKLOG = 4096, /* the kernel lowers it to net.core.somaxconn */
    ACCEPT_BATCH = 64,     /* connections taken in one event */
    ACCEPT_PAUSE_MS = 100, /* wait when we are out of descriptors */
    ADDRESS_TEXT_MAX = 64,
    KEEPALIVE_IDLE_S = 45, /* silence before the first probe, */
    KEEPALIVE_STEP_S = 15, /* then one each, */
    KEEPALIVE_COUNT = 4,   /* and as many without an answer end the connection */
};

struct address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } is;
    socklen_t size;
};

static int parse_address(const char *text, struct address *out, struct err *err)
{
    char host[ADDRESS_TEXT_MAX];
    struct str all = str_of(text), name;
    ssize_t colon = -1;
    uint64_t port;

    *out = (struct address){0};
    for (size_t i = 0; i < all.len; i++) {
        if (all.at[i] == ':')
            colon = (ssize_t)i;
    }
    if (colon < 0 || !str_to_u64(str_from(all, (size_t)colon + 1), &port) || port > UINT16_MAX)
        return err_set(err, ERR_INVALID, "address '%s': expected host:port", text);
    name = str_upto(all, (size_t)colon);
    if (name.len >= 2 && name.at[0] == '[' && name.at[name.len - 1] == ']') {
        name = str_from(str_upto(name, name.len - 1), 1);
        out->is.v6.sin6_family = AF_INET6;
        out->is.v6.sin6_port = htons((uint16_t)port);
        out->size = sizeof(out->is.v6);
        if (str_to_c(name, host, sizeof(host)) &&
            inet_pton(AF_INET6, host, &out->is.v6.sin6_addr) == 1)
            return 0;
    } else {
        out->is.v4.sin_family = AF_INET;
        out->is.v4.sin_port = htons((uint16_t)port);
        out->size = sizeof(out->is.v4);
        if (str_to_c(name, host, sizeof(host)) &&
            inet_pton(AF_INET, host, &out->is.v4.sin_addr) == 1)
            return 0;
    }
    return err_set(err, ERR_INVALID, "address '%s': not a literal IP address", text);
}

static int local_address(const char *path, struct address *out, struct err *err)
{
    *out = (struct address){.size = sizeof(out->is.local)};
    out->is.local.sun_family = AF_UNIX;
    if (path[0] == '\0' ||
        !str_to_c(str_of(path), out->is.local.sun_path, sizeof(out->is.local.sun_path)))
        return err_set(err, ERR_INVALID, "socket path '%s' is empty or longer than %zu bytes", path,
                       sizeof(out->is.local.sun_path) - 1);
    return 0;
}

static int open_socket(int family, int type)
{
    return socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* On the listener, so that it costs an accepted connection nothing. */
static int set_keepalive(int fd)
{
    static const struct {
        int level, option, value;
    } rows[] = {
        {SOL_SOCKET,  SO_KEEPALIVE,  1               },
        {IPPROTO_TCP, TCP_KEEPIDLE,  KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_STEP_S},
        {IPPROTO_TCP, TCP_KEEPCNT,   KEEPALIVE_COUNT },
    };

    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (setsockopt(fd, rows[i].level, rows[i].option, &rows[i].value, sizeof(int)) != 0)
            return -1;
    }
    return 0;
}

int socket_listen_tcp(const char *address, bool is_shared, int *out_fd, struct err *err)
{
    auto_fd int fd = -1;
    struct address a;
    const int on = 1;

    if (parse_address(address, &a, err) != 0)
        return -1;
    fd = open_socket(a.is.any.sa_family, SOCK_STREAM);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
        (is_shared && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) != 0) ||
        set_keepalive(fd) != 0 || bind(fd, &a.is.any, a.size) != 0 ||
        listen(fd, SOCKET_BACKLOG) != 0)
        return err_sys(err, errno, "listen on %s", address);
    *out_fd = take_fd(&fd);
    return 0;
}

uint16_t socket_port(int fd)
{
    struct address a = {.size = sizeof(a.is)};

    if (getsockname(fd, &a.is.any, &a.size) != 0)
        return 0;
    if (a.is.any.sa_family == AF_INET)
        return ntohs(a.is.v4.sin_port);
    return a.is.any.sa_family == AF_INET6 ? ntohs(a.is.v6.sin6_port) : 0;
}

int socket_connect_tcp(const char *address, int *out_fd, struct err *err)
{
    auto_fd int fd = -1;
    struct address a;

    if (parse_address(address, &a, err) != 0)
        return -1;
    fd = open_socket(a.is.any.sa_family, SOCK_STREAM);
    if (fd < 0 || (connect(fd, &a.is.any, a.size) != 0 && errno != EINPROGRESS))
        return err_sys(err, errno, "connect to %s", address);
    socket_no_delay(fd);
    *out_fd = take_fd(&fd);
    return 0;
}

int socket_listen_unix(const char *path, int type, int *out_fd, struct err *err)
{
    auto_fd int fd = -1;
    struct address a;
    struct stat st;

    if (local_address(path, &a, err) != 0)
        return -1;
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
        ignore(unlink(path)); /* bind says it if that failed */
    fd = open_socket(AF_UNIX, type);
    if (fd < 0 || bind(fd, &a.is.any, a.size) != 0 || listen(fd, SOCKET_BACKLOG) != 0)
        return err_sys(err, errno, "listen on %s", path);
    *out_fd = take_fd(&fd);
    return 0;
}

int socket_connect_unix(const char *path, int type, int *out_fd, struct err *err)
{
    auto_fd int fd = -1;
    struct address a;

    if (local_address(path, &a, err) != 0)
        return -1;
    fd = open_socket(AF_UNIX, type);
    if (fd < 0 || connect(fd, &a.is.any, a.size) != 0)
        return err_sys(err, errno, "connect to %s", path);
    *out_fd = take_fd(&fd);
    return 0;
}

int socket_pair(int type, int out_fds[2], struct err *err)
{
    if (socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, out_fds) != 0)
        return err_sys(err, errno, "create socket pair");
    return 0;
}

int socket_peer_uid(int fd, uid_t *out_uid, struct err *err)
{
    struct ucred cred;
    socklen_t size = sizeof(cred);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0)
        return err_sys(err, errno, "ask for the peer's user");
    *out_uid = cred.uid;
    return 0;
}

void socket_no_delay(int fd)
{
    const int on = 1;

    ignore(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))); /* not TCP: nothing to do */
}

void socket_peer_address(int fd, char out[SOCKET_ADDRESS_MAX])
{
    struct address a = {.size = sizeof(a.is)};
    const void *number;
    int family;

    out[0] = '\0';
    if (getpeername(fd, &a.is.any, &a.size) != 0)
        return;
    family = a.is.any.sa_family;
    if (family == AF_INET) {
        number = &a.is.v4.sin_addr;
    } else if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.is.v6.sin6_addr)) {
        number = a.is.v6.sin6_addr.s6_addr + 12;
        family = AF_INET;
    } else if (family == AF_INET6) {
        number = &a.is.v6.sin6_addr;
    } else {
        return;
    }
    ignore(inet_ntop(family, number, out, SOCKET_ADDRESS_MAX) == NULL); /* it has the room */
}

/* The listener */

static void on_pause_end(void *ctx)
{
    struct listener *s = ctx;

    watch_set(&s->watch, EPOLLIN);
}

static bool is_passing(int sys)
{
    /* Errors of the one connection that was about to be accepted: accept(2). */
    return sys == ECONNABORTED || sys == EINTR || sys == EPROTO || sys == ENETDOWN ||
           sys == EHOSTUNREACH || sys == ENETUNREACH || sys == EHOSTDOWN || sys == ENONET ||
           sys == ENOPROTOOPT || sys == EPERM;
}

static void on_listener_event(void *ctx, uint32_t events)
{
    struct listener *s = ctx;
    struct watch *w = &s->watch;
    struct loop *l = w->loop;

    (void)events;
    for (int i = 0; i < ACCEPT_BATCH && watch_survives(l, w); i++) {
        int fd = accept4(s->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd >= 0) {
            s->on_accept(s->ctx, fd);
        } else if (errno == EAGAIN) {
            break;
        } else if (!is_passing(errno)) {
            watch_set(w, 0);
            timer_start(l, &s->pause, ACCEPT_PAUSE_MS, on_pause_end, s);
            break;
        }
    }
}

int listener_start(struct listener *s, struct loop *l, int fd, void (*on_accept)(void *ctx, int fd),
                   void *ctx, struct err *err)
{
    *s = (struct listener){.fd = fd, .on_accept = on_accept, .ctx = ctx};
    if (watch_start(l, &s->watch, fd, EPOLLIN, on_listener_event, s, err) != 0) {
        own_close_fd(&fd);
        *s = (struct listener){.fd = -1};
        return err_wrap(err, "start listener");
    }
    return 0;
}

void listener_stop(struct listener *s)
{
    if (s->watch.loop == NULL)
        return;
    watch_stop(&s->watch);
    timer_stop(&s->pause);
    own_close_fd(&s->fd);
    s->fd = -1;
}

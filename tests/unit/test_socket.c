/* SPDX-License-Identifier: Apache-2.0 */
/* io/socket: addresses, unix paths, listeners, packets with descriptors. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "io/socket.h"
#include "io_help.h"
#include "test.h"

enum {
    CLIENTS = 100, /* more than one batch of accepts */
};

static void refuses_bad_addresses(void)
{
    static const char *const bad[] = {
        "",           "3000",           ":3000",          "localhost:3000",  "127.0.0.1",
        "127.0.0.1:", "127.0.0.1:x",    "1.2.3:1",        "127.0.0.1:65536", "[::1:3000",
        "::1:3000",   "[127.0.0.1]:80", "[fe80::1%lo]:1",
    };
    struct err err;
    int fd;

    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        err.kind = ERR_NONE;
        CHECK(socket_listen_tcp(bad[i], false, &fd, &err) == -1 && err.kind == ERR_INVALID);
        CHECK(socket_connect_tcp(bad[i], &fd, &err) == -1 && err.kind == ERR_INVALID);
    }
}

static void listens_on_both_families(void)
{
    struct err err;
    int fd, again;
    char address[32];

    CHECK(socket_listen_tcp("127.0.0.1:0", false, &fd, &err) == 0);
    CHECK(socket_port(fd) != 0);
    CHECK((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0 && (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", socket_port(fd));
    CHECK(socket_listen_tcp(address, false, &again, &err) == -1 && err.sys == EADDRINUSE);
    own_close_fd(&fd);
    CHECK(socket_listen_tcp("127.0.0.1:0", true, &fd, &err) == 0);
    snprintf(address, sizeof(address), "127.0.0.1:%u", socket_port(fd));
    CHECK(socket_listen_tcp(address, true, &again, &err) == 0);
    own_close_fd(&again);
    own_close_fd(&fd);
    if (socket_listen_tcp("[::1]:0", false, &fd, &err) == 0) {
        CHECK(socket_port(fd) != 0);
        own_close_fd(&fd);
    } else {
        CHECK(err.sys == EADDRNOTAVAIL || err.sys == EAFNOSUPPORT); /* a host without IPv6 */
    }
}

static void unix_sockets_replace_old_ones_only(void)
{
    char dir[] = "/tmp/test_socket_XXXXXX", path[64], file[64], longer[200];
    struct err err;
    int first, second, client, fd;
    uid_t uid = 12345;

    CHECK(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/s", dir);
    snprintf(file, sizeof(file), "%s/f", dir);
    CHECK(socket_listen_unix(path, SOCK_SEQPACKET, &first, &err) == 0);
    CHECK(socket_listen_unix(path, SOCK_STREAM, &second, &err) == 0);
    CHECK(socket_connect_unix(path, SOCK_STREAM, &client, &err) == 0);
    CHECK(socket_peer_uid(client, &uid, &err) == 0 && uid == geteuid());
    CHECK(socket_connect_unix(path, SOCK_SEQPACKET, &fd, &err) == -1);
    own_close_fd(&first);
    own_close_fd(&second);
    own_close_fd(&client);
    CHECK(socket_connect_unix(path, SOCK_STREAM, &client, &err) == -1 && err.sys == ECONNREFUSED);

    fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    CHECK(fd >= 0);
    own_close_fd(&fd);
    CHECK(socket_listen_unix(file, SOCK_STREAM, &fd, &err) == -1 && err.sys == EADDRINUSE);
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    CHECK(socket_listen_unix(longer, SOCK_STREAM, &fd, &err) == -1 && err.kind == ERR_INVALID);
    CHECK(socket_connect_unix("", SOCK_STREAM, &fd, &err) == -1 && err.kind == ERR_INVALID);
    CHECK(unlink(path) == 0 && unlink(file) == 0 && rmdir(dir) == 0);
}

/* The listener */

struct front {
    struct loop *loop;
    struct listener listener;
    int accepted, wanted;
    bool frees_itself;
};

static void on_accept(void *ctx, int fd)
{
    struct front *f = ctx;

    own_close_fd(&fd);
    f->accepted++;
    if (f->accepted < f->wanted)
        return;
    loop_stop(f->loop);
    if (f->frees_itself) {
        listener_stop(&f->listener);
        free(f);
    }
}

static struct front *front_new(struct loop *l, int wanted, char address[32])
{
    struct front *f = mem_zero(sizeof(*f));
    struct err err;
    int fd;

    CHECK(socket_listen_tcp("127.0.0.1:0", false, &fd, &err) == 0);
    snprintf(address, 32, "127.0.0.1:%u", socket_port(fd));
    f->loop = l;
    f->wanted = wanted;
    CHECK(listener_start(&f->listener, l, fd, on_accept, f, &err) == 0);
    return f;
}

static void connect_all(const char *address, int *fds, int count)
{
    struct err err;

    for (int i = 0; i < count; i++)
        CHECK(socket_connect_tcp(address, &fds[i], &err) == 0);
}

static void close_all(int *fds, int count)
{
    for (int i = 0; i < count; i++)
        own_close_fd(&fds[i]);
}

static void listener_accepts_all(void)
{
    struct loop *l = help_loop();
    char address[32];
    struct front *f = front_new(l, CLIENTS, address);
    int fds[CLIENTS];

    connect_all(address, fds, CLIENTS);
    help_run(l);
    CHECK(f->accepted == CLIENTS);
    listener_stop(&f->listener);
    listener_stop(&f->listener);
    free(f);
    close_all(fds, CLIENTS);
    loop_free(l);
}

static void listener_may_be_freed_while_accepting(void)
{
    struct loop *l = help_loop();
    char address[32];
    struct front *f = front_new(l, 2, address);
    int fds[4];

    f->frees_itself = true;
    connect_all(address, fds, 4);
    help_run(l);
    close_all(fds, 4);
    loop_free(l);
}

static void listener_waits_when_out_of_descriptors(void)
{
    struct loop *l = help_loop();
    char address[32];
    struct front *f = front_new(l, 1, address);
    struct rlimit old, none;
    int fds[1], limit;

    connect_all(address, fds, 1);
    CHECK(getrlimit(RLIMIT_NOFILE, &old) == 0);
    none = old;
    limit = dup(0); /* the lowest free number */
    CHECK(limit >= 0);
    none.rlim_cur = (rlim_t)limit;
    own_close_fd(&limit);
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    help_spin(l, 30);
    CHECK(setrlimit(RLIMIT_NOFILE, &old) == 0);
    CHECK(f->accepted == 0 && f->listener.watch.events == 0 && timer_running(&f->listener.pause));
    help_run(l);
    CHECK(f->accepted == 1);
    listener_stop(&f->listener);
    free(f);
    close_all(fds, 1);
    loop_free(l);
}

/* Packets */

static char packet_box[PACKET_MAX];

static void packets_keep_bounds_and_descriptors(void)
{
    int pair[2], sent[PACKET_FDS_MAX], got[PACKET_FDS_MAX];
    struct stat a, b;
    struct err err;
    size_t count = 9;

    CHECK(socket_pair(SOCK_SEQPACKET, pair, &err) == 0);
    for (int i = 0; i < PACKET_FDS_MAX; i++)
        CHECK((sent[i] = open("/proc/self/stat", O_RDONLY | O_CLOEXEC)) >= 0);
    CHECK(packet_send(pair[0], STR("first"), NULL, 0, &err) == 0);
    CHECK(packet_send(pair[0], STR("second"), sent, PACKET_FDS_MAX, &err) == 0);
    CHECK(packet_receive(pair[1], packet_box, PACKET_MAX, got, &count, &err) == 5 && count == 0);
    CHECK(packet_receive(pair[1], packet_box, PACKET_MAX, got, &count, &err) == 6);
    CHECK(count == PACKET_FDS_MAX && memcmp(packet_box, "second", 6) == 0);
    CHECK(packet_receive(pair[1], packet_box, PACKET_MAX, sent, &count, &err) == -2);
    for (int i = 0; i < PACKET_FDS_MAX; i++) {
        CHECK(got[i] != sent[i] && (fcntl(got[i], F_GETFD) & FD_CLOEXEC) != 0);
        CHECK(fstat(got[i], &a) == 0 && fstat(sent[i], &b) == 0 && a.st_ino == b.st_ino);
    }
    close_all(got, PACKET_FDS_MAX);
    close_all(sent, PACKET_FDS_MAX);
    CHECK(packet_send(pair[0], STR(""), NULL, 0, &err) == -1 && err.kind == ERR_LIMIT);
    CHECK(packet_send(pair[0], (struct str){packet_box, PACKET_MAX + 1}, NULL, 0, &err) == -1);
    CHECK(packet_send(pair[0], STR("x"), sent, PACKET_FDS_MAX + 1, &err) == -1);
    own_close_fd(&pair[0]);
    CHECK(packet_receive(pair[1], packet_box, PACKET_MAX, got, &count, &err) == 0);
    CHECK(packet_send(pair[1], STR("x"), NULL, 0, &err) == -1 && err.sys == EPIPE);
    own_close_fd(&pair[1]);
}

static void truncated_packets_leak_nothing(void)
{
    int pair[2], got[PACKET_FDS_MAX], next;
    size_t count = 0;
    struct err err;

    CHECK(socket_pair(SOCK_SEQPACKET, pair, &err) == 0);
    CHECK(packet_send(pair[0], STR("too long"), pair, 2, &err) == 0);
    CHECK(packet_receive(pair[1], packet_box, 4, got, &count, &err) == -1);
    CHECK(err.kind == ERR_LIMIT);
    next = dup(0);
    CHECK(next == pair[1] + 1); /* what came with it is closed again */
    own_close_fd(&next);
    close_all(pair, 2);
}

static void full_socket_would_block(void)
{
    int pair[2], got[PACKET_FDS_MAX], rc = 0, sent = 0;
    size_t count;
    struct err err;

    CHECK(socket_pair(SOCK_SEQPACKET, pair, &err) == 0);
    while ((rc = packet_send(pair[0], STR("x"), NULL, 0, &err)) == 0 && sent < 100000)
        sent++;
    CHECK(rc == 1 && sent > 10);
    for (int i = 0; i < sent; i++)
        CHECK(packet_receive(pair[1], packet_box, PACKET_MAX, got, &count, &err) == 1);
    CHECK(packet_receive(pair[1], packet_box, PACKET_MAX, got, &count, &err) == -2);
    CHECK(packet_send(pair[0], STR("x"), NULL, 0, &err) == 0);
    own_close_fd(&pair[1]); /* with a packet unread: the sender sees a reset */
    CHECK(packet_receive(pair[0], packet_box, PACKET_MAX, got, &count, &err) == 0);
    own_close_fd(&pair[0]);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"refuses bad addresses",                      refuses_bad_addresses                 },
        {"listens on both families",                   listens_on_both_families              },
        {"unix sockets replace old ones only",         unix_sockets_replace_old_ones_only    },
        {"the listener accepts all",                   listener_accepts_all                  },
        {"the listener may be freed while accepting",  listener_may_be_freed_while_accepting },
        {"the listener waits when out of descriptors", listener_waits_when_out_of_descriptors},
        {"packets keep bounds and descriptors",        packets_keep_bounds_and_descriptors   },
        {"truncated packets leak nothing",             truncated_packets_leak_nothing        },
        {"a full socket would block",                  full_socket_would_block               },
        {"no descriptor is left open",                 help_no_leak                          },
    };

    return help_main(tests, COUNT_OF(tests), argc, argv);
}

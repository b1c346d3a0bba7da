/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: listen, accept, connect; all descriptors CLOEXEC and non-blocking from birth. */
#ifndef IO_SOCKET_H
#define IO_SOCKET_H

#include <sys/types.h>

#include "base/err.h"
#include "base/str.h"
#include "io/loop.h"

/* "127.0.0.1:3000", "[::1]:3000", "0.0.0.0:3000". Literals only: names are never resolved on a
 * loop. SO_REUSEADDR; with is_shared also SO_REUSEPORT. Port 0 takes a free one (socket_port).
 * Accepted connections inherit keepalive probes: a peer that vanished is noticed 105 s after its
 * last byte, one that closed while we were silent within 90 s (its system forgets it after 60). */
must_check int socket_listen_tcp(const char *address, bool is_shared, int *out_fd, struct err *err);
uint16_t socket_port(int fd);
/* Non-blocking connect; the stream that takes the fd finishes it. */
must_check int socket_connect_tcp(const char *address, int *out_fd, struct err *err);

/* Unix sockets by path. type is SOCK_STREAM or SOCK_SEQPACKET. An old socket file is replaced. */
must_check int socket_listen_unix(const char *path, int type, int *out_fd, struct err *err);
must_check int socket_connect_unix(const char *path, int type, int *out_fd, struct err *err);
must_check int socket_pair(int type, int out_fds[2], struct err *err);
must_check int socket_peer_uid(int fd, uid_t *out_uid, struct err *err);

enum {
    SOCKET_ADDRESS_MAX = 46, /* INET6_ADDRSTRLEN */
};
/* The peer's address as text, without port; an IPv4 one mapped into IPv6 as IPv4. "" for other
 * kinds of sockets. */
void socket_peer_address(int fd, char out[SOCKET_ADDRESS_MAX]);

void socket_no_delay(int fd); /* TCP_NODELAY; harmless on others */

/* Accepts until the backlog is empty, hands each descriptor over. Survives EMFILE by pausing for
 * 100 ms instead of spinning. */
struct listener {
    int fd;
    struct watch watch;
    struct timer pause;
    void (*on_accept)(void *ctx, int fd); /* takes the descriptor; may stop and free the listener */
    void *ctx;
};

/* Takes the descriptor, also when it fails. */
must_check int listener_start(struct listener *s, struct loop *l, int fd,
                              void (*on_accept)(void *ctx, int fd), void *ctx, struct err *err);
void listener_stop(struct listener *s); /* closes the descriptor */

/* Datagrams with descriptors over a unix SOCK_SEQPACKET socket: the carrier of ipc/. */
enum {
    PACKET_MAX = 160 << 10, /* bytes in one packet */
    PACKET_FDS_MAX = 4,
};

/* 0 sent, 1 would block, -1 failed. The descriptors stay the caller's. */
int packet_send(int fd, struct str data, const int *fds, size_t fd_count, struct err *err);
/* >0 bytes, 0 peer is gone, -1 failed, -2 nothing there. Received fds are CLOEXEC and the
 * caller's; *out_fd_count of them. A truncated packet is an error. */
ssize_t packet_receive(int fd, void *data, size_t size, int out_fds[PACKET_FDS_MAX],
                       size_t *out_fd_count, struct err *err);

#endif

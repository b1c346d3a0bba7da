/* SPDX-License-Identifier: Apache-2.0 */
/* Packets with descriptors over unix SOCK_SEQPACKET sockets: the carrier of ipc/ and of envd's
 * control socket. */
#include <errno.h>
#include <sys/socket.h>

#include "io/socket.h"

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(PACKET_FDS_MAX * sizeof(int))];
};

int packet_send(int fd, struct str data, const int *fds, size_t fd_count, struct err *err)
{
    union control control = {0};
    /* sendmsg(2) has no const; it does not write there */
    struct iovec iov = {(void *)(uintptr_t)data.at, data.len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

    if (data.len == 0 || data.len > PACKET_MAX || fd_count > PACKET_FDS_MAX)
        return err_set(err, ERR_LIMIT, "packet of %zu bytes and %zu descriptors", data.len,
                       fd_count);
    if (fd_count > 0) {
        struct cmsghdr *c;

        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof(int));
    }
    while (sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        if (errno == EAGAIN)
            return 1;
        if (errno != EINTR)
            return err_sys(err, errno, "send packet");
    }
    return 0;
}

static size_t take_fds(struct msghdr *m, int out_fds[PACKET_FDS_MAX])
{
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    size_t count;

    if (c == NULL || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
        return 0;
    count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    memcpy(out_fds, CMSG_DATA(c), count * sizeof(int));
    return count;
}

ssize_t packet_receive(int fd, void *data, size_t size, int out_fds[PACKET_FDS_MAX],
                       size_t *out_fd_count, struct err *err)
{
    union control control = {0};
    struct iovec iov = {data, size};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof(control.bytes)};
    int fds[PACKET_FDS_MAX];
    size_t count;
    ssize_t n;

    do {
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    } while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return -2;
    if (n < 0 && errno != ECONNRESET)
        return err_sys(err, errno, "receive packet");
    if (n < 0)
        return 0; /* closed with packets of ours unread */
    count = take_fds(&m, fds);
    if (n == 0 || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < count; i++)
            own_close_fd(&fds[i]);
        return n == 0 ? 0
                      : err_set(err, ERR_LIMIT, "packet above %zu bytes or %d descriptors", size,
                                PACKET_FDS_MAX);
    }
    memcpy(out_fds, fds, count * sizeof(int));
    *out_fd_count = count;
    return n;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* See control.h. Listened on by envd/guest.c, connected to by runtime/linux/process.c. */
#include "io/control.h"

#include <errno.h>
#include <sys/socket.h>

enum { BACKLOG = 4 };

/* Abstract: it begins with NUL and has no file. Shorter than a whole sockaddr_un, for envd. */
static const struct {
    sa_family_t family;
    char name[8];
} place = {AF_UNIX, "\0sandlot"};

static int open_at(int (*attach)(int fd, const struct sockaddr *at, socklen_t size), int *out_fd,
                   struct err *err)
{
    auto_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || attach(fd, (const struct sockaddr *)&place, sizeof(place)) != 0)
        return err_sys(err, errno, "control socket");
    *out_fd = take_fd(&fd);
    return 0;
}

int control_listen(int *out_fd, struct err *err)
{
    if (open_at(bind, out_fd, err) != 0)
        return -1;
    ignore(listen(*out_fd, BACKLOG)); /* bound, so it does not fail */
    return 0;
}

int control_connect(int *out_fd, struct err *err)
{
    return open_at(connect, out_fd, err);
}

bool control_is_host(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid == 0;
}

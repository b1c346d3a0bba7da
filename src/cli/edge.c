/* SPDX-License-Identifier: Apache-2.0 */
/* edge restart: asks `serve` to put a new edge process in the place of the old one. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

#include "cli/remote.h"
#include "io/socket.h"

const char cli_serve_socket[] = "serve.sock";
const char cli_edge_restart_question[] = "edge restart";

enum {
    ANSWER_MS = 25 * 1000, /* serve gives up before */
    ANSWER_TEXT_MAX = 1024,
};

static int ask(const char *path, char answer[ANSWER_TEXT_MAX], struct err *err)
{
    auto_fd int fd = -1;
    struct pollfd wait = {.events = POLLIN};
    int fds[PACKET_FDS_MAX];
    size_t fd_count = 0;
    ssize_t len;

    if (socket_connect_unix(path, SOCK_SEQPACKET, &fd, err) != 0 ||
        packet_send(fd, str_of(cli_edge_restart_question), NULL, 0, err) != 0)
        return -1;
    wait.fd = fd;
    while ((len = poll(&wait, 1, ANSWER_MS)) < 0 && errno == EINTR)
        continue;
    if (len <= 0)
        return err_set(err, ERR_TIMEOUT, "the server does not answer");
    len = packet_receive(fd, answer, ANSWER_TEXT_MAX - 1, fds, &fd_count, err);
    if (len <= 0)
        return err_set(err, ERR_UNAVAILABLE, "the server gave no answer");
    for (size_t i = 0; i < fd_count; i++)
        own_close_fd(&fds[i]);
    answer[len] = '\0';
    return 0;
}

int cli_edge_restart(const struct invocation *v)
{
    const struct cli_places *places = v->ctx;
    char path[PATH_MAX], answer[ANSWER_TEXT_MAX];
    struct err err;
    int len = snprintf(path, sizeof path, "%s/%s", places->run_dir, cli_serve_socket);

    if (len < 0 || (size_t)len >= sizeof path)
        return command_fail(v, "path of the socket is too long");
    if (ask(path, answer, &err) != 0)
        return command_fail(v, "%s; does 'sandlot serve' run, and are you root?", err.text);
    if (!str_is(str_of(answer), "ok"))
        return command_fail(v, "%s", answer);
    puts("a new edge serves; the old one ends with its connections");
    return EXIT_SUCCESS;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Opens and resizes pseudo-terminals; process_start.c and process_rpc.c call it. */
#include "envd/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

enum {
    PTY_PEER = 0x5441 /* TIOCGPTPEER: opens the other end without its path; Linux 4.13 */
};

static uint16_t narrow(uint32_t value)
{
    return value > UINT16_MAX ? UINT16_MAX : (uint16_t)value;
}

int pty_resize(int master, const struct pty_size *size, struct err *err)
{
    struct winsize ws = {.ws_row = narrow(size->rows), .ws_col = narrow(size->cols)};

    if (ioctl(master, TIOCSWINSZ, &ws) != 0)
        return err_sys(err, errno, "set terminal size");
    return 0;
}

int pty_open(const struct pty_size *size, const struct user *u, int *out_master, int *out_terminal,
             struct err *err)
{
    auto_fd int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    auto_fd int terminal = -1;
    int locked = 0;

    if (master < 0 || ioctl(master, TIOCSPTLCK, &locked) != 0)
        return err_sys(err, errno, "open terminal");
    terminal = ioctl(master, PTY_PEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0)
        return err_sys(err, errno, "open terminal");
    ignore(fchown(terminal, u->uid, (gid_t)-1)); /* only programs that reopen it would notice */
    if (size != NULL && pty_resize(master, size, err) != 0)
        return -1;
    *out_master = take_fd(&master);
    *out_terminal = take_fd(&terminal);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo-terminals for processes that want one. */
#ifndef ENVD_PTY_H
#define ENVD_PTY_H

#include "envd/messages.h"
#include "envd/users.h"

/* Both ends, CLOEXEC; the terminal belongs to the user. */
must_check int pty_open(const struct pty_size *size, const struct user *u, int *out_master,
                        int *out_terminal, struct err *err);
must_check int pty_resize(int master, const struct pty_size *size, struct err *err);

#endif

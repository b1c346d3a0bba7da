/* SPDX-License-Identifier: Apache-2.0 */
/* Threads that pause, resume and take snapshots: like creators, but without the system call filter,
 * which the program they run would inherit, and with more on their stage:
 *
 *   sys          a sysfs as sandboxes see it
 *   guest/envd   the binary to restore with
 *   guest/hook   what CRIU calls, and guest/asked, guest/told, the pipes it talks through; ours
 *                talks through them without it */
#ifndef RUNTIME_LINUX_SAVER_H
#define RUNTIME_LINUX_SAVER_H

#include "base/err.h"

struct linux_driver;

/* Where a saver has its stage, in its own mount namespace. */
#define SAVER_STAGE "/run/stage"

/* On the thread, once, in its stage. *out_net_fd must stay open as long as the stage is used: what
 * is in sys is of this network namespace, and goes with it. */
must_check int saver_prepare(struct linux_driver *d, int *out_net_fd, struct err *err);
/* What CRIU found out of the kernel, which takes it 60 ms, it finds in the /run of each saver that
 * was told: before and after a job there. */
void saver_tell(struct linux_driver *d);
void saver_note(struct linux_driver *d);
/* Puts this binary at guest/envd. */
must_check int saver_set_guest(const char *envd, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* A server that runs in a chroot. The kernel lets nobody make a user namespace there
 * (kernel/user_namespace.c, current_chrooted), and "/" is no mount that could be made private. */
#ifndef RUNTIME_LINUX_CHROOT_H
#define RUNTIME_LINUX_CHROOT_H

#include "base/err.h"

/* Give this process a mount namespace whose root is what its root directory is now, as a container
 * has it. Does nothing outside a chroot. Call it before other threads start: they inherit. */
must_check int chroot_become_root(struct err *err);

#endif

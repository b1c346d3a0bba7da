/* SPDX-License-Identifier: Apache-2.0 */
/* The capabilities root keeps inside a sandbox (in its own user namespace): the same fourteen that
 * container engines give, because package managers, sudo and servers are tested with them. */
#ifndef RUNTIME_LINUX_CAPS_H
#define RUNTIME_LINUX_CAPS_H

#include <stdbool.h>
#include <stdint.h>

/* Bit mask. Without a user namespace, what would act on the host is missing. */
uint64_t caps_kept(bool has_userns);

#endif

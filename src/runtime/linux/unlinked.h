/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of files that have no name any more and live on because a process has them open or mapped:
 * no walk of a directory finds them. Used by disk.c. */
#ifndef RUNTIME_LINUX_UNLINKED_H
#define RUNTIME_LINUX_UNLINKED_H

#include <stdint.h>

#include "base/str.h"

/* Of the processes in `procs` (a line for each), on their overlay. UINT64_MAX: more files than we
 * are willing to look at. What is only in flight in a socket is not seen. */
uint64_t unlinked_usage(int proc_dir, struct str procs);

#endif

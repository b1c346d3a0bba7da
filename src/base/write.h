/* SPDX-License-Identifier: Apache-2.0 */
/* All of a text into a descriptor that blocks. */
#ifndef BASE_WRITE_H
#define BASE_WRITE_H

#include "base/str.h"

/* 0, or -1 with errno: some of it may be written then. */
must_check int write_whole(int fd, struct str data);

#endif

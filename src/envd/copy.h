/* SPDX-License-Identifier: Apache-2.0 */
/* Content from one file to another in pieces, inside the kernel where it can be. */
#ifndef ENVD_COPY_H
#define ENVD_COPY_H

#include <stdbool.h>
#include <sys/types.h>

struct copy {
    int from, to; /* borrowed; both are used from where they stand */
    bool is_by_hand;
    char *piece; /* private */
};

/* At most about `most` bytes. Returns how many; 0: `from` has ended; -1 with errno. */
ssize_t copy_some(struct copy *c, size_t most);
void copy_done(struct copy *c); /* harmless on a zeroed one */

#endif

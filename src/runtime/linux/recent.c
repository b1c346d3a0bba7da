/* SPDX-License-Identifier: Apache-2.0 */
/* See recent.h. Used by lifecycle.c. */
#include "runtime/linux/recent.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/own.h"

static const char *const kinds[RECENT_NAMESPACES] = {"uts", "pid"};

static void forget(int fds[RECENT_NAMESPACES])
{
    for (size_t i = 0; i < RECENT_NAMESPACES; i++) {
        if (fds[i] > 0)
            ignore(close(fds[i]));
        fds[i] = 0;
    }
}

void recent_keep(struct recent *r, int proc_fd, int pid)
{
    int *fds = r->fds[r->next];
    char name[32];

    r->next = (r->next + 1) % RECENT_KEPT;
    forget(fds);
    for (size_t i = 0; i < RECENT_NAMESPACES; i++) {
        ignore(snprintf(name, sizeof(name), "%d/ns/%s", pid, kinds[i]));
        fds[i] = openat(proc_fd, name, O_RDONLY | O_CLOEXEC);
    }
}

void recent_done(struct recent *r)
{
    for (size_t i = 0; i < RECENT_KEPT; i++)
        forget(r->fds[i]);
}

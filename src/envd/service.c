/* SPDX-License-Identifier: Apache-2.0 */
/* What an image wants to run in all of its sandboxes. Called by init.c. */
#include "envd/service.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "envd/guest.h"
#include "envd/spawn.h"

void service_start(struct guest *g)
{
    static char path[] = "/etc/sandlot/start";
    static char *argv[] = {NULL, path, NULL}; /* the first is the free slot that spawn() asks for */
    struct spawn_spec spec = {.path = path, .argv = argv + 1, .envp = argv + 2, .cwd = "/"};
    bool had_one = g->had_service;
    struct pollfd ready;
    int ends[2];
    pid_t pid;

    g->had_service = true;
    if (had_one || !g->is_init || access(path, X_OK) != 0 || pipe2(ends, O_CLOEXEC) != 0)
        return;
    spec.fds[0] = spec.fds[1] = spec.fds[2] = ends[1];
    ready = (struct pollfd){.fd = ends[0], .events = POLLIN};
    /* One that cannot be started is missed by who asks for it; the sandbox is there all the same.
     * Nobody is served before /init is answered, so this wait keeps nobody. */
    ignore(spawn(&spec, &pid, NULL));
    close(ends[1]); /* without it the end comes at once */
    ignore(poll(&ready, 1, SERVICE_READY_MS));
    close(ends[0]);
}

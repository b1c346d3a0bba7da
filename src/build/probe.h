/* SPDX-License-Identifier: Apache-2.0 */
/* How a build finds out that its start command is ready: a shell command, or a URL of the sandbox
 * itself that is asked over HTTP (CT-23 to CT-26, RX-28). */
#ifndef BUILD_PROBE_H
#define BUILD_PROBE_H

#include "base/err.h"
#include "base/str.h"

enum {
    PROBE_PATH_MAX = 512,
    PROBE_PERIOD_MS = 500,   /* of a URL */
    PROBE_FAILURES_MAX = 60, /* so 30 s */
    READY_PERIOD_MS = 2000,  /* of a command */
    READY_TIMEOUT_MS = 10 * 60 * 1000,
};

struct probe {
    uint16_t port;
    char path[PROBE_PATH_MAX + 1];
};

/* The first URL in `text` whose host is this machine (localhost, 127.0.0.1, 0.0.0.0, ::1) and whose
 * port is named and not 0; its path without a query, "/" when it has none. False: there is none. */
bool probe_find(struct str text, struct probe *out);
/* Is the whole of it a URL, so that it is no command? */
bool probe_is_url(struct str text);

#endif

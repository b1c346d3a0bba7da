/* SPDX-License-Identifier: Apache-2.0 */
/* What root may ask of a running `serve`, over run_dir/serve.sock: one packet of text each way. The
 * only question is "edge restart"; its answer is "ok" or a sentence that begins with "error: ".
 * Used by serve.c; `sandlot edge restart` asks. */
#ifndef MAIN_CONTROL_H
#define MAIN_CONTROL_H

#include "main/supervisor.h"

enum {
    CONTROL_CLIENTS_MAX = 8,
    CONTROL_WAIT_MS = 20 * 1000, /* for a question, and for its answer */
};

struct control;

/* Takes the listening SOCK_SEQPACKET socket, also when it fails. */
must_check int control_new(struct loop *l, int fd, struct supervisor *s, struct control **out,
                           struct err *err);
void control_free(struct control *c); /* before the supervisor */

#endif

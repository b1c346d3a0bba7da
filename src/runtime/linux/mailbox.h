/* SPDX-License-Identifier: Apache-2.0 */
/* Results from the driver's threads to its loop. As loop_post(), but it can be closed: after
 * mailbox_done() nothing is delivered any more, so the driver can be freed while the loop runs on.
 * (A letter that waits in the loop cannot be taken back.) */
#ifndef RUNTIME_LINUX_MAILBOX_H
#define RUNTIME_LINUX_MAILBOX_H

#include <pthread.h>

#include "io/loop.h"

struct mail {
    struct list_node node;
    loop_fn *fn;
    void *ctx;
};

struct mailbox {
    pthread_mutex_t lock;
    struct list waiting;
    int event_fd;
    struct watch watch;
};

must_check int mailbox_init(struct mailbox *m, struct loop *l, struct err *err);
/* Join the senders first. Undelivered mail is dropped, and may be freed already. */
void mailbox_done(struct mailbox *m);
/* From any thread. The mail is the receiver's once fn is called. */
void mailbox_post(struct mailbox *m, struct mail *mail, loop_fn *fn, void *ctx);

#endif

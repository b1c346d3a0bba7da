/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs on images: each is a process (sandlot-image) that talks with api over its own socket; node
 * only starts it, a few at a time. They die with node. */
#ifndef NODE_IMAGE_JOBS_H
#define NODE_IMAGE_JOBS_H

#include "io/loop.h"

enum {
    IMAGE_JOBS_MAX = 4,    /* at once */
    IMAGE_JOBS_WAIT = 256, /* more: refused */
};

struct image_jobs;

/* `program` is borrowed; NULL: every job is refused. */
struct image_jobs *image_jobs_new(struct loop *l, const char *program);
void image_jobs_free(struct image_jobs *j);
/* Takes the socket. A refusal is told over it (ipc/image_messages.h). */
void image_jobs_add(struct image_jobs *j, int fd);

#endif

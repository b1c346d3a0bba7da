/* SPDX-License-Identifier: Apache-2.0 */
/* What can be asked of src/image, from the command line and by api (through node): each call is one
 * job, by root, in a process with one thread that does nothing else. */
#ifndef IMAGE_JOB_H
#define IMAGE_JOB_H

#include "image/maker.h"
#include "ipc/image_messages.h"

struct image_job {
    const char *data_dir;
    uint32_t uid_base;
    struct extract_limits limits;
    uint64_t timeout_ms;
    const char *allow;      /* private addresses and CIDRs where registries may be */
    const char *plain_http; /* "host:port"s that are spoken to without TLS, with commas */
    say_fn *say;            /* in another process than the caller's */
    void *ctx;
};

/* An image from a file or directory, under any name. Its record is appended to `out`. */
must_check int image_job_import(const struct image_job *j, struct str name, int fd, struct buf *out,
                                struct err *err);
/* What api asks for, see ipc/image_messages.h; `watch_fd`: who asks, hangs up when he is gone. */
must_check int image_job_run(const struct image_job *j, const struct image_request *r, int watch_fd,
                             struct buf *out, struct err *err);
/* An imported image, and the layers that nobody else needs. ERR_NOT_FOUND. */
must_check int image_job_remove(const struct image_job *j, struct str name, struct err *err);

#endif

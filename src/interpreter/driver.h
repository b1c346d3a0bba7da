/* SPDX-License-Identifier: Apache-2.0 */
/* How a kind of kernels is talked to. kernel.c has the process; a driver has the conversation. */
#ifndef INTERPRETER_DRIVER_H
#define INTERPRETER_DRIVER_H

#include "interpreter/kernel.h"
#include "io/child.h"

enum {
    DRIVER_FDS_MAX = 4,
    DRIVER_LINE_MAX = 160 << 20, /* lines made of one message */
};

struct driver {
    /* Before the process: what it finds as descriptors (closed here once it has them), its files.
     */
    int (*open)(struct kernel *k, struct child_fd *fds, size_t *fd_count, struct err *err);
    void (*started)(struct kernel *k); /* the process runs: begin to talk; may be NULL */
    void (*execute)(struct kernel *k, const struct kernel_job *job);
    void (*interrupt)(struct kernel *k);
    void (*pause)(struct kernel *k, bool is_paused);
    void (*close)(struct kernel *k); /* nothing is to be called any more */
    void (*free)(struct kernel *k);  /* later, outside of its callbacks */
};

extern const struct driver jupyter_driver; /* Jupyter's messaging protocol 5 */
extern const struct driver lines_driver;   /* JSON lines both ways */
extern const struct driver shell_driver;   /* lines of a shell in, JSON lines out */

/* For drivers. */
struct kernel {
    struct kernel_place place;
    const struct language *language;
    const struct kernel_events *events;
    void *ctx;
    char *cwd;
    char *name;  /* path of its files in run_dir, without what follows the dot or dash */
    void *state; /* the driver's */
    struct child child;
    struct timer timer;    /* until it is ready; until an interrupt was heeded */
    struct timer farewell; /* the process is gone, its last words may be on the way */
    struct task burial;
    char *why;            /* it ended */
    const char *lost_why; /* the same, unless its process ends first; static text */
    bool is_ready, is_busy, is_gone, is_closed;
};

void kernel_ready(struct kernel *k);
/* Of a job only: dropped when none is under way. */
void kernel_output(struct kernel *k, struct str lines);
void kernel_done(struct kernel *k);
/* The driver has lost the conversation, or heard its last word. */
void kernel_lost(struct kernel *k, const char *why);
void kernel_signal(struct kernel *k, int signal); /* to its process group */

#endif

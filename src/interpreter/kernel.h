/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel: the process that runs one context's code, one job at a time.
 *
 * Its process is leader of its own session and is killed with its process group. What it prints
 * while no job runs is dropped. */
#ifndef INTERPRETER_KERNEL_H
#define INTERPRETER_KERNEL_H

#include "interpreter/language.h"
#include "io/loop.h"

enum {
    KERNEL_START_MS = 120 * 1000,    /* until it is ready: slow machines load slowly */
    KERNEL_INTERRUPT_MS = 10 * 1000, /* one that does not heed an interrupt is killed */
};

struct kernel;

struct kernel_place {
    struct loop *loop;
    const char *kernels_dir; /* of our files */
    const char *run_dir;     /* private to us: sockets of kernels, their connection files */
};

struct kernel_events {
    void (*on_ready)(void *ctx);
    /* Whole lines (lines.h) of the job under way. */
    void (*on_output)(void *ctx, struct str lines);
    void (*on_done)(void *ctx);
    /* The process is gone; what it said before was told. Free the kernel. */
    void (*on_end)(void *ctx, const char *why);
};

struct kernel_job {
    struct str code;
    struct str envs;    /* JSON object of strings: for this job only; empty: none */
    struct str globals; /* the same, from now on */
};

must_check int kernel_new(const struct kernel_place *place, const struct language *language,
                          const char *cwd, const struct kernel_events *events, void *ctx,
                          struct kernel **out, struct err *err);
/* Ends its process; nothing is told any more. Callable from every event. NULL is fine. */
void kernel_free(struct kernel *k);
bool kernel_is_ready(const struct kernel *k);
/* Only when it is ready and no job is under way. */
void kernel_execute(struct kernel *k, const struct kernel_job *job);
/* End the job under way; on_done comes as always. */
void kernel_interrupt(struct kernel *k);
/* The reader of the output is behind: let the kernel wait. */
void kernel_pause(struct kernel *k, bool is_paused);
/* A process that is killed may take a moment to be gone: none is left when this is 0. */
size_t kernel_living(void);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop: level-triggered epoll, timers, work for the end of the turn, letters from other
 * threads. One loop per thread; nothing here may be called from another thread except post().
 *
 * watches, timers, tasks and letters are embedded in their owner's struct: the loop allocates
 * nothing per event. A stop call is final: after it returns the callback is not called any more,
 * not even for an event that was already fetched, and the memory may be reused at once. */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"
#include "base/heap.h"
#include "base/list.h"

struct loop;

typedef void loop_fn(void *ctx);
typedef void watch_fn(void *ctx, uint32_t events); /* EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR … */

struct watch {
    struct loop *loop; /* NULL while stopped */
    int fd;
    uint32_t events;
    watch_fn *fn;
    void *ctx;
};

struct timer {
    struct heap_node node;
    struct list_node ready; /* due in this turn, waiting for its call */
    struct loop *loop;      /* NULL while stopped */
    loop_fn *fn;
    void *ctx;
};

struct task {
    struct list_node node;
    loop_fn *fn;
    void *ctx;
};

must_check int loop_new(struct loop **out, struct err *err);
/* Stop what is watched and join the threads that post before this. NULL is fine. */
void loop_free(struct loop *l);

/* Runs until loop_stop(); the turn it was called in is completed. Phases of a turn: wait, events,
 * due timers, letters, deferred tasks. */
must_check int loop_run(struct loop *l, struct err *err);
void loop_stop(struct loop *l);
/* Monotonic milliseconds, read once per turn. */
uint64_t loop_now_ms(const struct loop *l);

/* What a pipe of the loop holds, unless its user has too much in pipes already (pipe(7)): a file or
 * a socket gets so many bytes at once. */
enum { LOOP_PIPE_SIZE = 256 << 10 };

/* An empty pipe to splice through, both ends CLOEXEC and non-blocking. The loop keeps a few that
 * were given back; one that is not empty is closed by its owner instead. */
struct loop_pipe {
    int from, to; /* to read from, to write to; 0 and 0: none */
};

must_check int loop_take_pipe(struct loop *l, struct loop_pipe *out, struct err *err);
void loop_give_pipe(struct loop *l, struct loop_pipe *p, bool is_empty); /* leaves 0 and 0 */

/* Only bits of the mask, EPOLLHUP and EPOLLERR are delivered. The last two come whether asked for
 * or not, again each turn: stop a watch that has no answer to them. */
must_check int watch_start(struct loop *l, struct watch *w, int fd, uint32_t events, watch_fn *fn,
                           void *ctx, struct err *err);
void watch_set(struct watch *w, uint32_t events); /* change the mask; 0 keeps it registered */
void watch_stop(struct watch *w);                 /* before close(fd); harmless when stopped */

/* For a callback of `w` that calls others in turn: was it not stopped meanwhile? Looks at the loop
 * only, as the memory of `w` may be gone. */
bool watch_survives(const struct loop *l, const struct watch *w);

/* One-shot. Starting a running timer moves it. A timer may restart itself in its callback. */
void timer_start(struct loop *l, struct timer *t, uint64_t delay_ms, loop_fn *fn, void *ctx);
void timer_stop(struct timer *t);
bool timer_running(const struct timer *t);

/* Run at the end of this turn, after all events: the place to commit, then to flush. Deferring a
 * task that waits already does nothing. Tasks deferred by tasks run in the same turn's end. */
void task_defer(struct loop *l, struct task *t, loop_fn *fn, void *ctx);
void task_cancel(struct task *t);

/* A letter is handed to the loop's thread by any other thread; it is delivered once, in order. The
 * memory is the sender's to give: the callback owns it. */
struct letter {
    struct letter *next;
    loop_fn *fn;
    void *ctx;
};

void loop_post(struct loop *l, struct letter *letter, loop_fn *fn, void *ctx);

/* SIGTERM, SIGINT, SIGCHLD … as callbacks on the loop (signalfd; blocks the signals in the calling
 * thread, so call it before starting threads). One handler per signal. */
must_check int loop_on_signal(struct loop *l, int signal, loop_fn *fn, void *ctx, struct err *err);

#endif

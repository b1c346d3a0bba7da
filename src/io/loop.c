/* SPDX-License-Identifier: Apache-2.0 */
/* The event loop. Every role and envd run on one; see loop.h for the contract. */
#include "io/loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    LOOP_BATCH = 128,      /* events fetched by one epoll_wait */
    LOOP_SIGNALS = 65,     /* signal numbers are 1 … 64 */
    LOOP_SIGNAL_BATCH = 8, /* signals fetched by one read */
    LOOP_PIPES_MAX = 8,    /* kept; a busy loop has about as many bulk transfers in one turn */
};

struct signal_row {
    loop_fn *fn;
    void *ctx;
};

struct loop {
    int epoll_fd;
    int letter_fd; /* eventfd: letters wait */
    int signal_fd; /* -1 until the first loop_on_signal() */
    bool is_stopping;
    uint64_t now_ms;
    struct heap timers;
    struct list ready; /* timers that are due in this turn */
    struct list tasks;
    _Atomic(struct letter *) letters; /* newest first */
    struct watch letter_watch;
    struct watch signal_watch;
    sigset_t signal_set;
    const struct watch *current; /* whose event is being delivered, NULL once it was stopped */
    struct loop_pipe pipes[LOOP_PIPES_MAX];
    size_t pipe_count;
    int event_at, event_count; /* the part of the batch not delivered yet */
    struct epoll_event events[LOOP_BATCH];
    struct signal_row signals[LOOP_SIGNALS];
};

static void on_letter_event(void *ctx, uint32_t events)
{
    struct loop *l = ctx;
    uint64_t count;

    (void)events;
    ignore(read(l->letter_fd, &count, sizeof(count))); /* only resets it; letters have a phase */
}

int loop_new(struct loop **out, struct err *err)
{
    struct loop *l = calloc(1, sizeof(*l));

    if (l == NULL)
        return err_sys(err, ENOMEM, "create event loop");
    sigemptyset(&l->signal_set);
    l->signal_fd = -1;
    l->now_ms = clock_mono_ms();
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    /* Not on first use: loop_post() has no way to say that it failed. */
    l->letter_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll_fd < 0 || l->letter_fd < 0) {
        int sys = errno;

        loop_free(l);
        return err_sys(err, sys, "create event loop");
    }
    if (watch_start(l, &l->letter_watch, l->letter_fd, EPOLLIN, on_letter_event, l, err) != 0) {
        loop_free(l);
        return -1;
    }
    *out = l;
    return 0;
}

void loop_free(struct loop *l)
{
    if (l == NULL)
        return;
    while (l->pipe_count > 0)
        loop_give_pipe(l, &l->pipes[--l->pipe_count], false);
    own_close_fd(&l->signal_fd);
    own_close_fd(&l->letter_fd);
    own_close_fd(&l->epoll_fd);
    heap_done(&l->timers);
    free(l);
}

void loop_stop(struct loop *l)
{
    l->is_stopping = true;
}

uint64_t loop_now_ms(const struct loop *l)
{
    return l->now_ms;
}

int loop_take_pipe(struct loop *l, struct loop_pipe *out, struct err *err)
{
    int ends[2];

    if (l->pipe_count > 0) {
        *out = l->pipes[--l->pipe_count];
        return 0;
    }
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return err_sys(err, errno, "open a pipe to splice through");
    ignore(fcntl(ends[1], F_SETPIPE_SZ, LOOP_PIPE_SIZE)); /* or the size that it has */
    *out = (struct loop_pipe){ends[0], ends[1]};
    return 0;
}

void loop_give_pipe(struct loop *l, struct loop_pipe *p, bool is_empty)
{
    if (p->to == 0)
        return;
    if (is_empty && l->pipe_count < LOOP_PIPES_MAX) {
        l->pipes[l->pipe_count++] = *p;
    } else {
        own_close_fd(&p->from);
        own_close_fd(&p->to);
    }
    *p = (struct loop_pipe){0, 0};
}

/* Turn phases */

static int wait_ms(const struct loop *l)
{
    const struct heap_node *first = heap_min(&l->timers);
    uint64_t now;

    if (l->is_stopping || list_first(&l->tasks) != NULL)
        return 0;
    if (first == NULL)
        return -1;
    now = clock_mono_ms(); /* not the cached one: the last turn may have been long */
    if (first->key <= now)
        return 0;
    return first->key - now > INT_MAX ? INT_MAX : (int)(first->key - now);
}

static void deliver_events(struct loop *l)
{
    while (l->event_at < l->event_count) {
        const struct epoll_event *e = &l->events[l->event_at++];
        struct watch *w = e->data.ptr;
        uint32_t events;

        if (w == NULL)
            continue; /* stopped after it was fetched */
        events = e->events & (w->events | EPOLLHUP | EPOLLERR);
        if (events == 0)
            continue;
        l->current = w;
        w->fn(w->ctx, events);
    }
    l->current = NULL;
    l->event_at = l->event_count = 0;
}

static void run_timers(struct loop *l)
{
    struct heap_node *due;
    struct list_node *node;

    /* Two steps, so that a timer which restarts itself with no delay waits for the next turn. */
    while ((due = heap_min(&l->timers)) != NULL && due->key <= l->now_ms) {
        heap_remove(&l->timers, due);
        list_push(&l->ready, &container_of(due, struct timer, node)->ready);
    }
    while ((node = list_pop(&l->ready)) != NULL) {
        struct timer *t = container_of(node, struct timer, ready);

        t->loop = NULL;
        t->fn(t->ctx);
    }
}

static void deliver_letters(struct loop *l)
{
    struct letter *newest, *oldest = NULL;

    if (atomic_load_explicit(&l->letters, memory_order_relaxed) == NULL)
        return;
    newest = atomic_exchange(&l->letters, NULL);
    while (newest != NULL) {
        struct letter *next = newest->next;

        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest != NULL) {
        struct letter *letter = oldest;

        oldest = letter->next; /* before the call: the memory is the callback's */
        letter->fn(letter->ctx);
    }
}

static void run_tasks(struct loop *l)
{
    struct list_node *node;

    while ((node = list_pop(&l->tasks)) != NULL) {
        struct task *t = container_of(node, struct task, node);

        t->fn(t->ctx);
    }
}

int loop_run(struct loop *l, struct err *err)
{
    do {
        int count = epoll_wait(l->epoll_fd, l->events, LOOP_BATCH, wait_ms(l));

        if (count < 0 && errno != EINTR)
            return err_sys(err, errno, "wait for events");
        l->now_ms = clock_mono_ms();
        l->event_at = 0;
        l->event_count = count < 0 ? 0 : count;
        deliver_events(l);
        run_timers(l);
        deliver_letters(l);
        run_tasks(l);
    } while (!l->is_stopping);
    l->is_stopping = false;
    return 0;
}

/* Watches */

int watch_start(struct loop *l, struct watch *w, int fd, uint32_t events, watch_fn *fn, void *ctx,
                struct err *err)
{
    struct epoll_event e = {.events = events, .data.ptr = w};

    assert(w->loop == NULL);
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e) != 0)
        return err_sys(err, errno, "watch descriptor %d", fd);
    *w = (struct watch){.loop = l, .fd = fd, .events = events, .fn = fn, .ctx = ctx};
    return 0;
}

void watch_set(struct watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};
    int rc;

    if (w->loop == NULL || w->events == events)
        return;
    rc = epoll_ctl(w->loop->epoll_fd, EPOLL_CTL_MOD, w->fd, &e);
    assert(rc == 0); /* fails only for a descriptor that was closed under its watch */
    ignore(rc);
    w->events = events;
}

void watch_stop(struct watch *w)
{
    struct loop *l = w->loop;
    struct epoll_event unused = {0};

    if (l == NULL)
        return;
    ignore(epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, w->fd, &unused)); /* gone is what we want */
    for (int i = l->event_at; i < l->event_count; i++) {
        if (l->events[i].data.ptr == w)
            l->events[i].data.ptr = NULL;
    }
    if (l->current == w)
        l->current = NULL;
    w->loop = NULL;
}

bool watch_survives(const struct loop *l, const struct watch *w)
{
    return l->current == w;
}

/* Timers */

void timer_start(struct loop *l, struct timer *t, uint64_t delay_ms, loop_fn *fn, void *ctx)
{
    uint64_t due = delay_ms > UINT64_MAX - l->now_ms ? UINT64_MAX : l->now_ms + delay_ms;

    assert(t->loop == NULL || t->loop == l);
    list_remove(&t->ready);
    t->loop = l;
    t->fn = fn;
    t->ctx = ctx;
    heap_put(&l->timers, &t->node, due);
}

void timer_stop(struct timer *t)
{
    if (t->loop == NULL)
        return;
    list_remove(&t->ready);
    heap_remove(&t->loop->timers, &t->node);
    t->loop = NULL;
}

bool timer_running(const struct timer *t)
{
    return t->loop != NULL;
}

/* Tasks and letters */

void task_defer(struct loop *l, struct task *t, loop_fn *fn, void *ctx)
{
    if (list_linked(&t->node))
        return;
    t->fn = fn;
    t->ctx = ctx;
    list_push(&l->tasks, &t->node);
}

void task_cancel(struct task *t)
{
    list_remove(&t->node);
}

void loop_post(struct loop *l, struct letter *letter, loop_fn *fn, void *ctx)
{
    struct letter *head = atomic_load_explicit(&l->letters, memory_order_relaxed);
    const uint64_t one = 1;

    letter->fn = fn;
    letter->ctx = ctx;
    do {
        letter->next = head;
    } while (!atomic_compare_exchange_weak(&l->letters, &head, letter));
    /* Whoever posts into an empty box rings; the letter may be delivered and freed already. */
    if (head == NULL)
        ignore(write(l->letter_fd, &one, sizeof(one))); /* cannot block: far below the maximum */
}

/* Signals */

static void on_signal_event(void *ctx, uint32_t events)
{
    struct loop *l = ctx;
    struct signalfd_siginfo info[LOOP_SIGNAL_BATCH];
    ssize_t n = read(l->signal_fd, info, sizeof(info));

    (void)events;
    for (ssize_t i = 0; i < n / (ssize_t)sizeof(info[0]); i++) {
        const struct signal_row *row = &l->signals[info[i].ssi_signo];

        row->fn(row->ctx);
    }
}

int loop_on_signal(struct loop *l, int signal, loop_fn *fn, void *ctx, struct err *err)
{
    sigset_t one, set = l->signal_set;
    int fd;

    if (signal <= 0 || signal >= LOOP_SIGNALS)
        return err_set(err, ERR_INVALID, "no signal has the number %d", signal);
    sigemptyset(&one);
    sigaddset(&one, signal);
    sigaddset(&set, signal);
    ignore(sigprocmask(SIG_BLOCK, &one, NULL)); /* fails only for arguments we do not pass */
    fd = signalfd(l->signal_fd, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_sys(err, errno, "watch signal %d", signal);
    if (l->signal_fd < 0 &&
        watch_start(l, &l->signal_watch, fd, EPOLLIN, on_signal_event, l, err) != 0) {
        own_close_fd(&fd);
        return -1;
    }
    l->signal_fd = fd;
    l->signal_set = set;
    l->signals[signal] = (struct signal_row){fn, ctx};
    return 0;
}

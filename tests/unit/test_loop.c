/* SPDX-License-Identifier: Apache-2.0 */
/* io/loop: stop is final, the order of timers and letters, signals, phases of a turn. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>

#include "base/clock.h"
#include "io/loop.h"
#include "io_help.h"
#include "test.h"

enum {
    MANY = 300, /* more than one batch of events */
    THREADS = 4,
    LETTERS = 5000,
};

struct pair_case {
    struct loop *loop;
    struct watch watches[2];
    int fds[2];
    int calls;
    struct timer timer;
};

static void on_first_stops_other(void *ctx, uint32_t events)
{
    struct pair_case *c = ctx;

    CHECK(events == EPOLLIN);
    c->calls++;
    for (int i = 0; i < 2; i++) {
        if (c->watches[i].loop != NULL) {
            watch_stop(&c->watches[i]);
            watch_stop(&c->watches[i]);
        }
    }
    loop_stop(c->loop);
}

/* Both are ready in one batch; whichever comes first stops both. */
static void stop_scrubs_fetched_events(void)
{
    struct pair_case c = {.loop = help_loop()};
    struct err err;

    for (int i = 0; i < 2; i++) {
        c.fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(watch_start(c.loop, &c.watches[i], c.fds[i], EPOLLIN, on_first_stops_other, &c,
                          &err) == 0);
    }
    help_run(c.loop);
    CHECK(c.calls == 1);
    for (int i = 0; i < 2; i++)
        own_close_fd(&c.fds[i]);
    loop_free(c.loop);
}

struct many_case {
    struct loop *loop;
    struct watch *watches[MANY];
    int fd;
    int calls;
};

static void on_one_of_many(void *ctx, uint32_t events)
{
    struct many_case *c = ctx;

    (void)events;
    c->calls++;
    /* Free all others: a stale event would be a use after free. */
    for (int i = 0; i < MANY; i++) {
        if (c->watches[i] == NULL)
            continue;
        watch_stop(c->watches[i]);
        free(c->watches[i]);
        c->watches[i] = NULL;
    }
    loop_stop(c->loop);
}

static void stopped_memory_may_be_freed_at_once(void)
{
    struct many_case c = {.loop = help_loop(), .fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)};
    int fds[MANY];
    struct err err;

    for (int i = 0; i < MANY; i++) {
        fds[i] = dup(c.fd);
        c.watches[i] = mem_zero(sizeof(struct watch));
        CHECK(watch_start(c.loop, c.watches[i], fds[i], EPOLLIN, on_one_of_many, &c, &err) == 0);
    }
    help_run(c.loop);
    CHECK(c.calls == 1);
    for (int i = 0; i < MANY; i++)
        own_close_fd(&fds[i]);
    own_close_fd(&c.fd);
    loop_free(c.loop);
}

static void on_first_masks_other(void *ctx, uint32_t events)
{
    struct pair_case *c = ctx;

    CHECK(events == EPOLLIN);
    c->calls++;
    watch_set(&c->watches[0], 0);
    watch_set(&c->watches[1], 0);
    loop_stop(c->loop);
}

static void masked_events_are_not_delivered(void)
{
    struct pair_case c = {.loop = help_loop()};
    struct err err;

    for (int i = 0; i < 2; i++) {
        c.fds[i] = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        CHECK(watch_start(c.loop, &c.watches[i], c.fds[i], EPOLLIN, on_first_masks_other, &c,
                          &err) == 0);
    }
    help_run(c.loop);
    CHECK(c.calls == 1);
    help_spin(c.loop, 20);
    CHECK(c.calls == 1);
    watch_set(&c.watches[1], EPOLLIN);
    help_run(c.loop);
    CHECK(c.calls == 2);
    for (int i = 0; i < 2; i++) {
        watch_stop(&c.watches[i]);
        own_close_fd(&c.fds[i]);
    }
    loop_free(c.loop);
}

static void bad_descriptor_is_an_error(void)
{
    struct loop *l = help_loop();
    struct watch w = {0};
    struct err err;

    CHECK(watch_start(l, &w, 9999, EPOLLIN, on_first_masks_other, NULL, &err) == -1);
    CHECK(err.sys == EBADF && w.loop == NULL);
    loop_free(l);
}

/* Timers */

struct order {
    struct loop *loop;
    int seen[16];
    int count;
};

struct mark {
    struct timer timer;
    struct task task;
    struct order *order;
    int number;
};

static void on_mark(void *ctx)
{
    struct mark *m = ctx;

    CHECK(!timer_running(&m->timer));
    m->order->seen[m->order->count++] = m->number;
}

static void on_stop(void *ctx)
{
    loop_stop(ctx);
}

static void timers_fire_in_order(void)
{
    static const uint64_t delays[] = {30, 10, 20, 10, 0, 10};
    static const int expected[] = {4, 1, 3, 5, 2, 0};
    struct order o = {.loop = help_loop()};
    struct mark marks[COUNT_OF(delays)] = {0};
    struct timer end = {0};
    uint64_t began = clock_mono_ms();

    for (size_t i = 0; i < COUNT_OF(delays); i++) {
        marks[i].order = &o;
        marks[i].number = (int)i;
        timer_start(o.loop, &marks[i].timer, delays[i], on_mark, &marks[i]);
        CHECK(timer_running(&marks[i].timer));
    }
    timer_start(o.loop, &end, 40, on_stop, o.loop);
    help_run(o.loop);
    CHECK(clock_mono_ms() - began >= 39);
    CHECK(o.count == (int)COUNT_OF(delays));
    for (size_t i = 0; i < COUNT_OF(expected); i++)
        CHECK(o.seen[i] == expected[i]);
    loop_free(o.loop);
}

struct again {
    struct loop *loop;
    struct timer timer, victim;
    struct task task;
    int runs, turns, victim_runs;
};

static void on_again_turn(void *ctx)
{
    struct again *a = ctx;

    a->turns++;
}

static void on_again(void *ctx)
{
    struct again *a = ctx;

    a->runs++;
    task_defer(a->loop, &a->task, on_again_turn, a);
    if (a->runs == 5)
        loop_stop(a->loop);
    else
        timer_start(a->loop, &a->timer, 0, on_again, a);
}

static void timer_restarts_itself_one_turn_later(void)
{
    struct again a = {.loop = help_loop()};

    timer_start(a.loop, &a.timer, 0, on_again, &a);
    help_run(a.loop);
    CHECK(a.runs == 5 && a.turns == 5);
    CHECK(!timer_running(&a.timer));
    loop_free(a.loop);
}

static void on_victim(void *ctx)
{
    struct again *a = ctx;

    a->victim_runs++;
}

static void on_killer(void *ctx)
{
    struct again *a = ctx;

    CHECK(timer_running(&a->victim));
    timer_stop(&a->victim);
    timer_stop(&a->victim);
    CHECK(!timer_running(&a->victim));
}

static void due_timer_can_be_stopped_or_moved(void)
{
    struct again a = {.loop = help_loop()};

    timer_start(a.loop, &a.timer, 5, on_killer, &a);
    timer_start(a.loop, &a.victim, 5, on_victim, &a);
    help_spin(a.loop, 20);
    CHECK(a.victim_runs == 0);
    timer_start(a.loop, &a.victim, 5, on_victim, &a);
    timer_start(a.loop, &a.victim, 60000, on_victim, &a);
    help_spin(a.loop, 20);
    CHECK(a.victim_runs == 0 && timer_running(&a.victim));
    timer_start(a.loop, &a.victim, 1, on_victim, &a);
    timer_start(a.loop, &a.timer, UINT64_MAX, on_killer, &a);
    help_spin(a.loop, 20);
    CHECK(a.victim_runs == 1);
    timer_stop(&a.timer);
    loop_free(a.loop);
}

/* Tasks */

static void on_task(void *ctx)
{
    struct mark *m = ctx;

    m->order->seen[m->order->count++] = m->number;
}

static void on_task_defers(void *ctx)
{
    struct mark *m = ctx;

    on_task(m);
    task_defer(m->order->loop, &m[1].task, on_task, &m[1]);
    task_defer(m->order->loop, &m[2].task, on_task, &m[2]);
    task_defer(m->order->loop, &m[1].task, on_task, &m[1]);
    task_cancel(&m[2].task);
    loop_stop(m->order->loop);
}

static void tasks_run_in_the_same_turn(void)
{
    struct order o = {.loop = help_loop()};
    struct mark marks[3] = {
        {.order = &o, .number = 1},
        {.order = &o, .number = 2},
        {.order = &o, .number = 3}
    };

    task_defer(o.loop, &marks[0].task, on_task_defers, &marks[0]);
    help_run(o.loop);
    CHECK(o.count == 2 && o.seen[0] == 1 && o.seen[1] == 2);
    loop_free(o.loop);
}

/* Letters */

struct post {
    struct letter letter;
    struct poster *poster;
    int number;
};

struct poster {
    struct loop *loop;
    struct poster *all;
    pthread_t thread;
    int next;
};

static void on_post(void *ctx)
{
    struct post *p = ctx;
    struct poster *poster = p->poster;
    int ended = 0;

    CHECK(p->number == poster->next);
    poster->next++;
    free(p);
    for (int i = 0; i < THREADS; i++)
        ended += poster->all[i].next == LETTERS;
    if (ended == THREADS)
        loop_stop(poster->loop);
}

static void *post_all(void *ctx)
{
    struct poster *poster = ctx;

    for (int i = 0; i < LETTERS; i++) {
        struct post *p = mem_zero(sizeof(*p));

        p->poster = poster;
        p->number = i;
        loop_post(poster->loop, &p->letter, on_post, p);
    }
    return NULL;
}

static void letters_of_threads_arrive_in_order(void)
{
    struct loop *l = help_loop();
    struct poster posters[THREADS] = {0};

    for (int i = 0; i < THREADS; i++) {
        posters[i].loop = l;
        posters[i].all = posters;
        CHECK(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]) == 0);
    }
    help_run(l);
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(posters[i].thread, NULL) == 0);
        CHECK(posters[i].next == LETTERS);
    }
    loop_free(l);
}

/* Signals */

static void on_usr(void *ctx)
{
    struct order *o = ctx;

    o->count++;
    if (o->count == 2)
        loop_stop(o->loop);
}

static void signals_are_callbacks(void)
{
    struct order o = {.loop = help_loop()};
    sigset_t set, old;
    struct err err;

    sigemptyset(&set);
    sigprocmask(SIG_BLOCK, &set, &old);
    CHECK(loop_on_signal(o.loop, SIGUSR1, on_usr, &o, &err) == 0);
    CHECK(loop_on_signal(o.loop, SIGUSR2, on_usr, &o, &err) == 0);
    CHECK(loop_on_signal(o.loop, 0, on_usr, &o, &err) == -1);
    CHECK(loop_on_signal(o.loop, 65, on_usr, &o, &err) == -1);
    CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR2) == 0);
    help_run(o.loop);
    CHECK(o.count == 2);
    loop_free(o.loop);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(int argc, char **argv)
{
    static const struct test tests[] = {
        {"stop scrubs events that were fetched", stop_scrubs_fetched_events          },
        {"stopped memory may be freed at once",  stopped_memory_may_be_freed_at_once },
        {"masked events are not delivered",      masked_events_are_not_delivered     },
        {"a bad descriptor is an error",         bad_descriptor_is_an_error          },
        {"timers fire in order",                 timers_fire_in_order                },
        {"a timer restarts itself",              timer_restarts_itself_one_turn_later},
        {"a due timer can be stopped or moved",  due_timer_can_be_stopped_or_moved   },
        {"tasks run in the same turn",           tasks_run_in_the_same_turn          },
        {"letters of threads arrive in order",   letters_of_threads_arrive_in_order  },
        {"signals are callbacks",                signals_are_callbacks               },
        {"no descriptor is left open",           help_no_leak                        },
    };

    return help_main(tests, COUNT_OF(tests), argc, argv);
}

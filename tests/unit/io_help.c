/* SPDX-License-Identifier: Apache-2.0 */
/* See io_help.h. */
#include "io_help.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "io/socket.h"

enum {
    WATCHDOG_MS = 10000,
    PAIR_BUFFER = 16 << 10,
    SPIN_TURNS = 10,
};

static int open_at_start;

static int open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int count = 0;

    if (d == NULL)
        return -1;
    while (readdir(d) != NULL)
        count++;
    closedir(d);
    return count;
}

struct loop *help_loop(void)
{
    struct loop *l = NULL;
    struct err err;

    CHECK(loop_new(&l, &err) == 0);
    return l;
}

static void on_watchdog(void *ctx)
{
    struct loop *l = ctx;

    loop_stop(l);
    CHECK(!"the loop did not stop in time");
}

void help_run(struct loop *l)
{
    struct timer watchdog = {0};
    struct err err;

    timer_start(l, &watchdog, WATCHDOG_MS, on_watchdog, l);
    CHECK(loop_run(l, &err) == 0);
    timer_stop(&watchdog);
}

struct spin {
    struct loop *loop;
    struct timer timer;
    int turns_left;
};

static void on_spun(void *ctx)
{
    struct spin *s = ctx;

    if (--s->turns_left == 0)
        loop_stop(s->loop);
    else
        timer_start(s->loop, &s->timer, 1, on_spun, s);
}

void help_spin(struct loop *l, uint64_t for_ms)
{
    struct spin s = {.loop = l, .turns_left = SPIN_TURNS};
    struct err err;

    timer_start(l, &s.timer, for_ms, on_spun, &s);
    CHECK(loop_run(l, &err) == 0);
    timer_stop(&s.timer);
}

void help_pair(int fds[2])
{
    const int size = PAIR_BUFFER;
    struct err err;

    CHECK(socket_pair(SOCK_STREAM, fds, &err) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) == 0);
}

bool help_is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

int help_main(const struct test *tests, size_t count, int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    open_at_start = open_descriptors();
    return test_main(tests, count, argc, argv);
}

void help_no_leak(void)
{
    CHECK(open_at_start > 0 && open_descriptors() == open_at_start);
}

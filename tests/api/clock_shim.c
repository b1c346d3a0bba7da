/* SPDX-License-Identifier: Apache-2.0 */
/* A wall clock that a test moves, for programs that are started with this library before libc:
 * soak_faults.py lists it in a private /etc/ld.so.preload. The monotonic clock is the machine's. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const char place[] =
    "/etc/sandlot-test-clock"; /* how far the clock is moved: seconds, int64_t */
static const volatile int64_t *moved;

__attribute__((constructor)) static void begin(void)
{
    int fd = open(place, O_RDONLY | O_CLOEXEC);
    void *at = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *moved, PROT_READ, MAP_SHARED, fd, 0);

    if (at != MAP_FAILED)
        moved = at;
    if (fd >= 0)
        close(fd);
}

static time_t moved_s(void)
{
    return moved == NULL ? 0 : (time_t)*moved;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    long result = syscall(SYS_clock_gettime, clock, out);

    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out->tv_sec += moved_s();
    return (int)result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;

    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    *out = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;

    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    if (out != NULL)
        *out = now.tv_sec;
    return now.tv_sec;
}

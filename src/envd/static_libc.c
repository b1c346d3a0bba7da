/* SPDX-License-Identifier: Apache-2.0 */
/* What the static envd has instead of libc's own: only that build compiles this file. The linker
 * takes these names from here, so that libc's large versions of them stay out of the program. */
#include <assert.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/own.h"
#include "envd/memory.h"
#include "envd/print.h"
#include "envd/small_libc.h"

int vsnprintf(char *restrict to, size_t size, const char *restrict format, va_list args)
{
    return print_text(to, size, format, args);
}

int snprintf(char *restrict to, size_t size, const char *restrict format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = print_text(to, size, format, args);
    va_end(args);
    return len;
}

/* Without the kernel's vDSO, which takes a parser of ELF to find: the clock is read once per turn
 * of the loop, so it may be a system call. */
int clock_gettime(clockid_t clock, struct timespec *out)
{
    return (int)syscall(SYS_clock_gettime, clock, out);
}

/* Without what libc does for kernels that lack these calls, or some of their flags. */
int fcntl(int fd, int command, ...)
{
    va_list args;
    long value;

    va_start(args, command);
    value = va_arg(args, long);
    va_end(args);
    return (int)syscall(SYS_fcntl, fd, command, value);
}

int pipe2(int ends[2], int flags)
{
    return (int)syscall(SYS_pipe2, ends, flags);
}

int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags)
{
    return (int)syscall(SYS_accept4, fd, address, size, flags);
}

/* Of assert(3): a belief about our own code was wrong. */
_Noreturn void __assert_fail(const char *claim, const char *file, int line, const char *function)
{
    char text[256];

    snprintf(text, sizeof(text), "envd: %s:%d: %s: %s is not so\n", file, line, function, claim);
    ignore(write(STDERR_FILENO, text, strlen(text))); /* nowhere else to say it */
    abort();
}

void *malloc(size_t size)
{
    return memory_get(size);
}

void *calloc(size_t count, size_t size)
{
    size_t bytes;
    void *at = memory_get(__builtin_mul_overflow(count, size, &bytes) ? SIZE_MAX : bytes);

    return at == NULL ? NULL : memset(at, 0, bytes);
}

void *realloc(void *at, size_t size)
{
    return memory_resize(at, size);
}

void free(void *at)
{
    memory_free(at);
}

void qsort(void *items, size_t count, size_t size, int (*compare)(const void *, const void *))
{
    sort_items(items, count, size, compare);
}

char *strerror(int number)
{
    return (char *)(uintptr_t)error_text(number);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* System calls without libc, for code that runs in a child which shares our memory and our
 * thread-local storage (enter.c, idmap.c): no errno, no locks, no allocation. All return the
 * kernel's answer: a value, or -errno. Such code is compiled without sanitizers and stack canaries
 * (meson.build), whose state belongs to the parent. */
#ifndef RUNTIME_LINUX_RAW_H
#define RUNTIME_LINUX_RAW_H

#include <linux/sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>

#if defined(__x86_64__)

static inline long raw_call(long nr, const long a[6])
{
    long result;
    register long a3 __asm__("r10") = a[3];
    register long a4 __asm__("r8") = a[4];
    register long a5 __asm__("r9") = a[5];

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(a3), "r"(a4), "r"(a5)
                     : "rcx", "r11", "memory");
    return result;
}

/* The child begins in fn(arg) on the stack given in `args`, and ends when fn returns. */
static inline long raw_clone3(const struct clone_args *args, int (*fn)(void *), void *arg)
{
    long result;
    register int (*child_fn)(void *) __asm__("r12") = fn;
    register void *child_arg __asm__("r13") = arg;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "xor %%ebp, %%ebp\n\t"
                     "mov %%r13, %%rdi\n\t"
                     "call *%%r12\n\t"
                     "mov %%eax, %%edi\n\t"
                     "mov %[exit], %%eax\n\t"
                     "syscall\n\t"
                     "hlt\n"
                     "1:"
                     : "=a"(result)
                     : "a"((long)SYS_clone3), "D"(args), "S"(sizeof(*args)), "r"(child_fn),
                       "r"(child_arg), [exit] "i"(SYS_exit)
                     : "rcx", "r11", "memory");
    return result;
}

#elif defined(__aarch64__)

static inline long raw_call(long nr, const long a[6])
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a[0];
    register long x1 __asm__("x1") = a[1];
    register long x2 __asm__("x2") = a[2];
    register long x3 __asm__("x3") = a[3];
    register long x4 __asm__("x4") = a[4];
    register long x5 __asm__("x5") = a[5];

    __asm__ volatile("svc #0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}

static inline long raw_clone3(const struct clone_args *args, int (*fn)(void *), void *arg)
{
    register long x8 __asm__("x8") = SYS_clone3;
    register long x0 __asm__("x0") = (long)args;
    register long x1 __asm__("x1") = sizeof(*args);
    register int (*child_fn)(void *) __asm__("x19") = fn;
    register void *child_arg __asm__("x20") = arg;

    __asm__ volatile("svc #0\n\t"
                     "cbnz x0, 1f\n\t"
                     "mov x29, xzr\n\t"
                     "mov x0, x20\n\t"
                     "blr x19\n\t"
                     "mov x8, %[exit]\n\t"
                     "svc #0\n\t"
                     "brk #1\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(child_fn), "r"(child_arg), [exit] "i"(SYS_exit)
                     : "memory", "x30");
    return x0;
}

#else
#error "raw.h: no system call sequence for this processor"
#endif

static inline long raw0(long nr)
{
    return raw_call(nr, (const long[6]){0});
}

static inline long raw1(long nr, long a)
{
    return raw_call(nr, (const long[6]){a});
}

static inline long raw2(long nr, long a, long b)
{
    return raw_call(nr, (const long[6]){a, b});
}

static inline long raw3(long nr, long a, long b, long c)
{
    return raw_call(nr, (const long[6]){a, b, c});
}

static inline long raw5(long nr, const long a[5])
{
    return raw_call(nr, (const long[6]){a[0], a[1], a[2], a[3], a[4]});
}

#endif

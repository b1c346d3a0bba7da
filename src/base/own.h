/* SPDX-License-Identifier: Apache-2.0 */
/* Ownership spelled out: scope cleanup and hand-over.
 *
 * A variable declared auto_fd or auto_free releases what it holds when it leaves scope; take_fd()
 * and take_ptr() move it out instead. These, COUNT_OF, container_of and CHECK (tests) are all the
 * macros the project allows itself. */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define must_check                    __attribute__((warn_unused_result))
#define printf_like(text_at, args_at) __attribute__((format(printf, text_at, args_at)))
#define COUNT_OF(array)               (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define auto_fd   __attribute__((cleanup(own_close_fd)))
#define auto_free __attribute__((cleanup(own_free)))

/* Close *fd unless it is negative. Keeps errno. */
void own_close_fd(const int *fd);

static inline void own_free(void *pointer)
{
    free(*(void **)pointer);
}

/* Give the descriptor away: returns it and leaves -1 behind. */
static inline int take_fd(int *fd)
{
    int taken = *fd;

    *fd = -1;
    return taken;
}

static inline void *take_ptr_(void **pointer)
{
    void *taken = *pointer;

    *pointer = NULL;
    return taken;
}

#define take_ptr(pointer) ((__typeof__(*(pointer)))take_ptr_((void **)(pointer)))

/* A result that is deliberately not looked at; write the reason beside it. */
static inline void ignore(long result)
{
    (void)result;
}

/* Zeroed memory that is never NULL: aborts when there is none. For the servers, whose state is
 * durable elsewhere; envd uses calloc() and answers resource_exhausted (design.md rule 8). */
void *mem_zero(size_t size);
void *mem_array(size_t count, size_t size);
char *mem_text(const char *text);

#endif

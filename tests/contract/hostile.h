/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of attacks, for hostile.c. */
#ifndef TESTS_CONTRACT_HOSTILE_H
#define TESTS_CONTRACT_HOSTILE_H

#include <stdbool.h>
#include <stddef.h>

/* What the host listens on meanwhile, without a file. */
#define HOSTILE_NAME "sandlot-hostile-test"

enum {
    HOSTILE_MEMORY_MAX = 48 << 20 /* of the sandbox in which "memory" is tried */
};

struct hostile_row {
    const char *name;
    void (*attack)(const struct hostile_row *row); /* ends by held() or broke() */
    const char *text;                              /* whatever the attack reads from these */
    long numbers[6];
    bool is_nobody;     /* tried as an unprivileged user of the sandbox, else as its root */
    bool may_be_killed; /* by the kernel: then it has not broken anything */
};

struct hostile_list {
    const struct hostile_row *rows;
    size_t count;
};

extern const struct hostile_list hostile_calls, hostile_namespaces, hostile_first, hostile_kernel,
    hostile_devices, hostile_mounts, hostile_sockets, hostile_memory, hostile_take;

/* Says what the rows of a part came to. */
void hostile_run(int fd, const char *part);

_Noreturn void held(const char *why);
_Noreturn void broke(const char *format, ...) __attribute__((format(printf, 1, 2)));
void answer(const char *text);
/* A call that must have failed, for one of these reasons (0 ends them). */
_Noreturn void expect_refused(long result, const int *allowed);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Linked into every program of the coverage build (tools/coverage): the counters of a process are
 * written when it ends by _exit() or by a SIGTERM that it does not handle, too. */
#include <signal.h>
#include <stdlib.h>

void __gcov_dump(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
    __gcov_dump();
    __real__exit(status);
}

static void on_terminate(int number)
{
    __wrap__exit(128 + number);
}

__attribute__((constructor)) static void begin(void)
{
    signal(SIGTERM, on_terminate); /* who has a loop takes it from a signalfd instead */
}

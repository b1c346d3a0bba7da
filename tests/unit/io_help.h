/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of io and ipc share: a loop with a watchdog, and a count of open descriptors. */
#ifndef UNIT_IO_HELP_H
#define UNIT_IO_HELP_H

#include "io/loop.h"
#include "test.h"

struct loop *help_loop(void);
/* Run until loop_stop(); a case that takes longer than 10 s fails. */
void help_run(struct loop *l);
/* Run for so long, and some turns more: a busy machine may have slept through the time. */
void help_spin(struct loop *l, uint64_t for_ms);
/* A connected pair of non-blocking stream sockets with small kernel buffers. */
void help_pair(int fds[2]);
bool help_is_open(int fd);

/* test_main() that remembers how many descriptors were open; help_no_leak is then the last case. */
int help_main(const struct test *tests, size_t count, int argc, char **argv);
void help_no_leak(void);

#endif

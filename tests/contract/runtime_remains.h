/* SPDX-License-Identifier: Apache-2.0 */
/* What sandboxes could leave behind: descriptors, children, mounts, control groups, files. */
#ifndef TESTS_CONTRACT_RUNTIME_REMAINS_H
#define TESTS_CONTRACT_RUNTIME_REMAINS_H

#include <stdbool.h>
#include <stddef.h>

/* Learns from a running sandbox how the groups of this runtime are named. */
void learn_prefix(const char *id);
/* The quiet state everything must come back to. */
void remember_remains(void);
/* Stops what still runs, and CHECKs that all is as it was, within seconds. */
void check_clean(const char *after);

size_t remains_children(void);
size_t remains_kill_children(void); /* how many there were */
size_t remains_groups(void);
/* Processes that bring memory to sandboxes which run already. */
size_t remains_pagers(void);
bool remains_had_pager(void); /* ever */
/* Ends one in the middle of its work; what guards it goes on. False: there is none. */
bool remains_kill_pager(void);

#endif

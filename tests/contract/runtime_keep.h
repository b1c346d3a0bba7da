/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of runtime_keep.c that are in other files, and what they share. */
#ifndef RUNTIME_KEEP_H
#define RUNTIME_KEEP_H

#include <stdbool.h>
#include <stdint.h>

enum { SETTLE_MS = 20000 };

/* Does the command say so? A note if not. */
bool says(const char *id, const char *command, const char *expected);
/* Another runtime over the same directories, with this hot_resume_s. */
void reopen_with(uint64_t hot_s);
void need_memory(void); /* skips the case without checkpoints */

void each_boot_has_its_id(void);
void a_pause_lifts_the_processor_limit(void);
void one_that_starts_programs_is_paused(void);
void what_cannot_be_kept_is_frozen(void);
void what_is_frozen_goes_to_swap(void);
void stacks_do_not_grow(void);
void resumes_at_once(void);

/* Of runtime_keep_lazy.c. */
bool lazy_is_possible(void);
void memory_comes_later(void);
void memory_comes_without_a_node(void);
void without_its_pager_it_ends(void);

#endif

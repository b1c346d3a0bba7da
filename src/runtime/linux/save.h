/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that a pause and a snapshot have in common: pause.c has them. */
#ifndef RUNTIME_LINUX_SAVE_H
#define RUNTIME_LINUX_SAVE_H

#include "runtime/linux/driver_internal.h"
#include "runtime/linux/kept.h"

/* Until all memory of one that was resumed lately is there: who waits for it cannot be frozen. */
int save_settle(void *sandbox, struct err *err);
int save_space(void *sandbox, struct err *err);
int save_freeze(void *sandbox, struct err *err);
void save_thaw(void *sandbox);
int save_sync(void *sandbox, struct err *err);
/* Into an empty directory. */
must_check int save_checkpoint(struct guest *s, const char *images, struct err *err);
/* All but its own layer. */
void save_describe(struct guest *s, const char *id, struct kept *out);
/* A job: runs the rows, undoes them if one fails, and tells by s->saving and s->err. */
void save_run(struct guest *s, const struct step *rows, size_t count, const struct err *broken);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Reversible work as a table of named steps, applied in order and undone in reverse.
 *
 * The runner does not undo by itself: a launch begins on one thread, ends on another, and is undone
 * on a third. Whoever gets -1 arranges for steps_undo(). */
#ifndef RUNTIME_STEPS_H
#define RUNTIME_STEPS_H

#include "base/err.h"

struct step {
    const char *name;
    int (*run)(void *ctx, struct err *err); /* cleans up after itself when it fails */
    void (*undo)(void *ctx);                /* never fails; may be NULL */
};

/* One piece of work in progress. */
struct steps {
    const struct step *rows;
    size_t count;
    void *ctx;
    size_t done;         /* rows run so far */
    const char *fail_at; /* tests: this row is run and then declared failed; NULL = none */
};

/* Runs rows [done, upto). The error begins with the step's name; one of the system's is
 * ERR_SYSTEM where its own kind would blame the caller (ERR_EXISTS, ERR_CONFLICT, ERR_LIMIT). The
 * row `fail_at` counts as done, so that its undo is exercised too. */
must_check int steps_run(struct steps *s, size_t upto, struct err *err);
/* Undoes rows [0, done) in reverse; done becomes 0. */
void steps_undo(struct steps *s);

#endif

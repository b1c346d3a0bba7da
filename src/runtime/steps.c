/* SPDX-License-Identifier: Apache-2.0 */
/* The runner behind every launch; see linux/launch.c for the table. */
#include "runtime/steps.h"

#include <assert.h>
#include <string.h>

/* A caller's own mistakes are told apart before there are steps: that a step met a name that is
 * there, or has no descriptors, is no conflict and no limit of theirs. */
static void disown(struct err *err)
{
    if (err->sys != 0 &&
        (err->kind == ERR_EXISTS || err->kind == ERR_CONFLICT || err->kind == ERR_LIMIT))
        err->kind = ERR_SYSTEM;
}

int steps_run(struct steps *s, size_t upto, struct err *err)
{
    assert(upto <= s->count);
    while (s->done < upto) {
        const struct step *row = &s->rows[s->done];

        if (row->run(s->ctx, err) != 0) {
            disown(err);
            return err_wrap(err, "%s", row->name);
        }
        s->done++;
        if (s->fail_at != NULL && strcmp(s->fail_at, row->name) == 0)
            return err_set(err, ERR_SYSTEM, "%s: made to fail", row->name);
    }
    return 0;
}

void steps_undo(struct steps *s)
{
    while (s->done > 0) {
        s->done--;
        if (s->rows[s->done].undo != NULL)
            s->rows[s->done].undo(s->ctx);
    }
}

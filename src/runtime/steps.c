/* SPDX-License-Identifier: Apache-2.0 */
/* The runner behind every launch; see linux/launch.c for the table. */
#include "runtime/steps.h"

#include <assert.h>
#include <string.h>

int steps_run(struct steps *s, size_t upto, struct err *err)
{
    assert(upto <= s->count);
    while (s->done < upto) {
        const struct step *row = &s->rows[s->done];

        if (row->run(s->ctx, err) != 0)
            return err_wrap(err, "%s", row->name);
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

/* SPDX-License-Identifier: Apache-2.0 */
/* rm -rf in small steps, so that a large tree does not keep others waiting. Links are never
 * followed; what is not there is removed already. A tree may be deeper than a path can say; what
 * others put into it meanwhile goes too, unless they do not stop. */
#ifndef ENVD_REMOVAL_H
#define ENVD_REMOVAL_H

#include <stdbool.h>

#include "base/err.h"

struct removal;

/* *out is NULL when nothing is left to do. `path` may be anything: file, link, tree, nothing.
 * ERR_INVALID when its last part is "." or "..". */
must_check int removal_new(const char *path, struct removal **out, struct err *err);
/* At most `steps` entries. *out_done: the tree is gone. */
must_check int removal_run(struct removal *r, unsigned steps, bool *out_done, struct err *err);
void removal_free(struct removal *r);

#endif

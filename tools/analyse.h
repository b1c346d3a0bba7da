/* SPDX-License-Identifier: Apache-2.0 */
/* An analyser sees one file. This tells it, before any file of src but base/err.c, what that promises:
 * -1 as the result, and a kind. Without it every `return err_set(err, …)` is taken for a success too. */
#ifndef TOOLS_ANALYSE_H
#define TOOLS_ANALYSE_H

#include "base/err.h"

static inline int analyse_err(struct err *err, enum err_kind kind)
{
    if (err != NULL)
        err->kind = kind;
    return -1;
}

#define err_set(err, kind, ...) ((err_set)(err, kind, __VA_ARGS__), analyse_err(err, kind))
#define err_sys(err, ...)       ((err_sys)(err, __VA_ARGS__), analyse_err(err, ERR_SYSTEM))
#define err_wrap(err, ...)      ((err_wrap)(err, __VA_ARGS__), analyse_err(NULL, ERR_NONE))

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The sandbox's variables, as its envd tells them to who has the access token. */
#ifndef INTERPRETER_GLOBALS_H
#define INTERPRETER_GLOBALS_H

#include "base/str.h"
#include "io/loop.h"

struct globals_call;

/* `json`: an object of strings; empty when envd does not tell. The call is over then. */
typedef void globals_fn(void *ctx, struct str json);

/* NULL: it cannot even be asked; `fn` is not called. */
struct globals_call *globals_fetch(struct loop *l, uint16_t envd_port, struct str token,
                                   globals_fn *fn, void *ctx);
void globals_cancel(struct globals_call *c);

/* One JSON object whose members are strings? */
bool globals_are_valid(struct str json);

#endif

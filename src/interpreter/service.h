/* SPDX-License-Identifier: Apache-2.0 */
/* The requests of port 49999 (wire.md section 6). */
#ifndef INTERPRETER_SERVICE_H
#define INTERPRETER_SERVICE_H

#include "http/router.h"
#include "interpreter/context.h"

enum {
    BODY_MAX = 16 << 20, /* of a request: code that is larger is refused with 413 */
};

struct service {
    struct contexts *contexts;
    struct router *router;
    struct loop *loop;
};

void service_init(struct service *s, struct loop *l, struct contexts *contexts);
void service_done(struct service *s);
void service_serve(void *ctx, struct exchange *x); /* a request_fn of a struct service */

#endif

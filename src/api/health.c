/* SPDX-License-Identifier: Apache-2.0 */
/* GET /health, and the answer of rows that wait for their implementation. */
#include "api/call.h"
#include "api/errors.h"

void health_get(struct call *c)
{
    call_reply_empty(c, 204);
}

void not_implemented(struct call *c)
{
    call_error(c, 501, NULL, "%s %s is not implemented yet", c->route->key.method,
               c->route->key.pattern);
}

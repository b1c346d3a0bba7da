/* SPDX-License-Identifier: Apache-2.0 */
/* The one table of everything envd answers. */
#ifndef ENVD_ROUTES_H
#define ENVD_ROUTES_H

#include "http/server.h"

/* request_fn of the server; ctx is the struct guest. */
void routes_serve(void *ctx, struct exchange *x);

#endif

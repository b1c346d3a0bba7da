/* SPDX-License-Identifier: Apache-2.0 */
/* Who may pass: the access token of the sandbox, and the control token of its node. */
#ifndef ENVD_GATE_H
#define ENVD_GATE_H

#include "http/server.h"

struct guest;

enum gate_class {
    GATE_OPEN,    /* anyone */
    GATE_TOKEN,   /* X-Access-Token, when the sandbox has one */
    GATE_OWN,     /* the handler checks (signed /files) */
    GATE_CONTROL, /* the control connection, or X-Sandlot-Control; others see a 404 */
};

/* True: go on. False: it has been answered. */
bool gate_pass(const struct guest *g, struct exchange *x, enum gate_class gate);

#endif

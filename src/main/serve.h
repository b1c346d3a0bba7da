/* SPDX-License-Identifier: Apache-2.0 */
/* The command `serve`. */
#ifndef MAIN_SERVE_H
#define MAIN_SERVE_H

#include "cli/command.h"

int serve(const struct invocation *v);

#endif

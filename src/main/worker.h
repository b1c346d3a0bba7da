/* SPDX-License-Identifier: Apache-2.0 */
/* The command `sandlot worker`. */
#ifndef MAIN_WORKER_H
#define MAIN_WORKER_H

#include "cli/command.h"

int worker_command(const struct invocation *v); /* --config, --url, --defaults, --sample */

#endif

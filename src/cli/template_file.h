/* SPDX-License-Identifier: Apache-2.0 */
/* template export and template import: a template as one file, for another machine or for later.
 * Both want a running server, on this machine. */
#ifndef CLI_TEMPLATE_FILE_H
#define CLI_TEMPLATE_FILE_H

#include "cli/command.h"

int cli_template_export(const struct invocation *v); /* NAME FILE; --team, --json */
int cli_template_import(const struct invocation *v); /* NAME FILE; --team, --json */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* image import, list and remove: what an administrator gives this machine, with or without a
 * running server. */
#ifndef CLI_IMAGES_H
#define CLI_IMAGES_H

#include "cli/command.h"

int cli_image_import(const struct invocation *v); /* NAME FILE; --json */
int cli_image_list(const struct invocation *v);   /* --json */
int cli_image_remove(const struct invocation *v); /* NAME */

#endif

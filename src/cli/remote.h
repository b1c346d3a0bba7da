/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that talk to a running server: key create, key list, key revoke; and template list,
 * which reads the files. */
#ifndef CLI_REMOTE_H
#define CLI_REMOTE_H

#include "cli/command.h"

/* What these commands need to know; the invocation's ctx starts with it. */
struct cli_places {
    const char *data_dir, *run_dir;
};

extern const char cli_admin_token_file[]; /* in data_dir, readable by root alone */
extern const char cli_api_socket[];       /* in run_dir */

int cli_key_create(const struct invocation *v);    /* NAME, options --team, --json */
int cli_key_list(const struct invocation *v);      /* options --team, --json */
int cli_key_revoke(const struct invocation *v);    /* ID, option --team */
int cli_template_list(const struct invocation *v); /* option --json */

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What commands about keys and teams share: whose, in which form, for how long.
 *
 * All take `--output text|json` (`-o`, `--json`). Exit status: 0 done, 1 failed, 2 wrong use; with
 * json a failure is {"error":KIND,"message":TEXT} on standard error (AC-50). */
#ifndef CLI_WORDS_H
#define CLI_WORDS_H

#include "cli/remote.h"

/* --team, cli.team, E2B_TEAM_ID, else `fallback` (NULL: empty). -1: not a name; told already, exit
 * with EXIT_USAGE. */
must_check int cli_team(const struct invocation *v, const char *fallback, struct str *out);
/* -1: neither text nor json; told already, exit with EXIT_USAGE. */
must_check int cli_output(const struct invocation *v, bool *out_is_json);
/* Tells it in the form that was asked for; returns EXIT_FAILURE. */
int cli_fail(const struct invocation *v, const struct err *err);
/* "90", "90s", "15m", "24h", "30d" as seconds. */
must_check int cli_duration(struct str text, uint64_t *out_seconds, struct err *err);

#endif

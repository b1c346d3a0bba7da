/* SPDX-License-Identifier: Apache-2.0 */
/* What an execution of the code interpreter answers (a JSON line for each piece, see
 * interpreter/lines.h), told to people: output as it comes, results as text, images as files. */
#ifndef CLI_RUN_OUTPUT_H
#define CLI_RUN_OUTPUT_H

#include "base/buf.h"
#include "base/err.h"

enum { RUN_LINE_MAX = 64 << 20 }; /* of one line; a longer one is an error */

struct run_output {
    const char *dir;
    int dir_fd;
    bool is_json;    /* print the lines, save nothing */
    bool has_colors; /* of tracebacks, on standard error */
    bool has_ended;  /* the last line came */
    bool has_failed; /* the code did, or a file could not be saved; was told */
    unsigned number; /* of the last file */
    struct buf line; /* not whole yet */
    struct err err;  /* why run_output_take() said false */
};

/* `dir` has to exist. */
must_check int run_output_open(struct run_output *o, const char *dir, bool is_json,
                               struct err *err);
void run_output_close(struct run_output *o);
/* A guest_data_fn of a struct run_output: pieces are cut anywhere. */
bool run_output_take(void *ctx, struct str data);

#endif

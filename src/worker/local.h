/* SPDX-License-Identifier: Apache-2.0 */
/* The reference daemon's functions (iii-sandbox), on sandboxes of the API: local.c has the table
 * and what is about sandboxes, local_fs.c what is about files (local_search.c: in them),
 * local_run.c code that gets a sandbox of its own. Errors are JSON objects. */
#ifndef WORKER_LOCAL_H
#define WORKER_LOCAL_H

#include "worker/exec.h"
#include "worker/files.h"

/* local_fs.c */
job_fn run_fs_ls, run_fs_stat, run_fs_mkdir, run_fs_write, run_fs_read, run_fs_rm, run_fs_chmod,
    run_fs_mv, run_fs_grep, run_fs_sed;
/* local_run.c */
job_fn run_code, drop_code;

/* The result of exec and of run; `id` is shown when it is not NULL. Ends the job. */
void local_end(struct job *j, const struct process_end *end, const char *id);
/* One more program in the box of this id, if it may have one: else S003, and the job has ended. */
bool local_take_exec(struct job *j, struct str id);
uint64_t local_timeout(const struct job *j, const struct arg *given);

/* local_tool.c: a program that every image has, in C's language. `argv` ends with NULL; behind it
 * come the words of `more`, or the argument `path` of the job. Its end goes to `then`. */
void local_tool(struct job *j, const char *const *argv, const struct codec_list *more,
                process_fn *then);
void local_tool_on_path(struct job *j, const char *const *argv, process_fn *then);
bool local_tool_is_ok(const struct process_end *end);
/* What its words mean; a parent that is missing has a remedy. Ends the job. */
void local_tool_fault(struct job *j, const struct process_end *end, bool may_need_parents);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What the provider's and the local exec say of a program's end. */
#ifndef WORKER_EXEC_H
#define WORKER_EXEC_H

#include "worker/worker_internal.h"

/* No such program, or none that can be executed: exit codes 127 and 126, as a shell has them. */
bool exec_was_not_found(const struct process_end *end, int *out_code);
/* "stdout":…,"stderr":… and what has to be said of them. */
void exec_put_output(const struct process_end *end, struct buf *out);
/* Any other reason that it could not be run; ends the job. */
void exec_refuse(struct job *j, const struct process_end *end);

#endif

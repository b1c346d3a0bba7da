/* SPDX-License-Identifier: Apache-2.0 */
/* Files of j->box by envd's /files, for the provider's and the local functions. */
#ifndef WORKER_FILES_H
#define WORKER_FILES_H

#include "base/digest.h"
#include "worker/worker_internal.h"

/* What a refusal of /files means; ends the job. */
void files_fault(struct job *j, const struct upstream_answer *a);
/* False: a file of at most `max` bytes did not come whole, and the job has ended. */
bool files_came(struct job *j, const struct upstream_answer *a, size_t max);
void files_put(struct job *j, struct str path, struct str bytes, job_answer_fn *then);
void files_chmod(struct job *j, struct str path, int64_t mode, process_fn *then);

#endif

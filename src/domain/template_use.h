/* SPDX-License-Identifier: Apache-2.0 */
/* How often templates were used. Stored with the sandbox that was started, under the template's
 * id, so it outlives the template's files. Users: sandbox_create.c, api/templates.c. */
#ifndef DOMAIN_TEMPLATE_USE_H
#define DOMAIN_TEMPLATE_USE_H

#include "base/err.h"
#include "domain/record.h"

struct domain;

/* Zeros when it was never used. */
void template_use(const struct domain *d, struct str template_id, struct template_use_record *out);
/* A sandbox was started from it: queue the new count. The caller commits. */
must_check int template_use_add(struct domain *d, struct str template_id, int64_t now_ms,
                                struct err *err);

must_check int template_use_load(struct domain *d, struct err *err);
void template_use_done(struct domain *d);

#endif

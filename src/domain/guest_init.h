/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON that envd gets at birth (POST /init). */
#ifndef DOMAIN_GUEST_INIT_H
#define DOMAIN_GUEST_INIT_H

#include "base/buf.h"
#include "domain/record.h"

/* Appends to `out`. Env values of the template come first, the caller's win. */
void guest_init_json(const struct sandbox_record *r, const struct codec_list *template_env,
                     struct buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON that envd gets at birth (POST /init). */
#ifndef DOMAIN_GUEST_INIT_H
#define DOMAIN_GUEST_INIT_H

#include "base/buf.h"
#include "domain/record.h"

enum {
    GUEST_ENV_MAX = 2047, /* variables that envd takes at birth */
};

/* What envd would refuse, before anything is started for it: ERR_INVALID. */
must_check int guest_init_check_env(const struct codec_list *own, const struct codec_list *base,
                                    struct err *err);

/* Appends to `out`. Env values of the template come first, the caller's win. replay_kb: as in
 * struct domain_config. */
void guest_init_json(const struct sandbox_record *r, const struct codec_list *template_env,
                     uint64_t replay_kb, struct buf *out);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may ask of a sandbox's way out, in create and in PUT /sandboxes/{id}/network. */
#ifndef API_SANDBOX_NETWORK_H
#define API_SANDBOX_NETWORK_H

#include "base/err.h"
#include "codec/codec.h"

struct egress_ask {
    const struct codec_list *allow_out, *deny_out; /* of struct str */
    struct str rules, egress_proxy;                /* raw JSON */
};

/* {}, [] and null ask for nothing. */
bool is_empty_json(struct str raw);
/* First what is malformed (ERR_INVALID, texts of semantics.md 2.9), then what cannot be kept
 * (ERR_UNSUPPORTED). A sandbox has no way out at all today: every rule that denies holds by
 * construction, none that allows can be kept. */
must_check int egress_check(const struct egress_ask *ask, struct err *err);

#endif

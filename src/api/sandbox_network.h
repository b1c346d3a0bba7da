/* SPDX-License-Identifier: Apache-2.0 */
/* What a client may ask of a sandbox's way out, in create and in PUT /sandboxes/{id}/network. */
#ifndef API_SANDBOX_NETWORK_H
#define API_SANDBOX_NETWORK_H

#include "base/err.h"
#include "ipc/egress_messages.h"

struct egress_ask {
    const struct codec_list *allow_out, *deny_out; /* of struct str */
    struct str rules, egress_proxy;                /* raw JSON */
};

struct egress_rules {
    struct codec_list rules; /* of struct egress_rule */
    struct egress_proxy *proxy;
};

/* {}, [] and null ask for nothing. */
bool is_empty_json(struct str raw);
/* ERR_INVALID, with the texts of semantics.md 2.9. */
must_check int egress_check(const struct egress_ask *ask, struct arena *a, struct egress_rules *out,
                            struct err *err);

#endif

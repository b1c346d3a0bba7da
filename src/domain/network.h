/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the network part of a request (wire.md 7.5). */
#ifndef DOMAIN_NETWORK_H
#define DOMAIN_NETWORK_H

#include "base/err.h"
#include "codec/codec.h"

enum {
    NETWORK_RULES_MAX = 1024, /* entries of denyOut, and of allowOut */
    MASK_HOST_MAX = 255,
};

/* Each must be an address or a CIDR: ERR_INVALID "invalid denied CIDR x". */
must_check int network_check_deny(const struct codec_list *deny_out, struct err *err);
/* Each must be an address, a CIDR, a domain, "*.domain" or "*": ERR_INVALID "invalid allowed
 * address x". Domains need 0.0.0.0/0 among the denied. */
must_check int network_check_allow(const struct codec_list *allow_out,
                                   const struct codec_list *deny_out, struct err *err);
/* A host with an optional port, which may be "${PORT}"; ASCII. Empty is fine. */
must_check int network_check_mask(struct str mask_host, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* URLs that webhooks may have: "http[s]://host[:port][/path][?query]". The host is an address, a
 * name, or an IPv6 address in brackets; no user, no fragment, no bytes that a request line cannot
 * hold. */
#ifndef DOMAIN_WEBHOOK_URL_H
#define DOMAIN_WEBHOOK_URL_H

#include "base/err.h"
#include "base/str.h"

enum {
    WEBHOOK_HOST_MAX = 253, /* characters of a name in DNS */
};

struct webhook_url {
    struct str authority; /* host and port as written: the Host field */
    struct str host;      /* with the brackets of an IPv6 address */
    uint16_t port;        /* 80 or 443 when there is none */
    bool is_tls;
    struct str target; /* "/" when there is none; ".at" points into the URL or is static */
};

/* ERR_INVALID. Slices point into `url`. */
must_check int webhook_url_parse(struct str url, struct webhook_url *out, struct err *err);

#endif

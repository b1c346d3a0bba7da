/* SPDX-License-Identifier: Apache-2.0 */
/* Where the worker connects to, out of a URL: "http[s]://host[:port][/path]" for an API, "ws[s]://"
 * with the same for an engine. No user, no query, no fragment. */
#ifndef WORKER_ADDRESS_H
#define WORKER_ADDRESS_H

#include "base/err.h"
#include "base/str.h"

enum {
    ADDRESS_HOST_MAX = 253,
    ADDRESS_PATH_MAX = 255,
};

enum address_kind {
    ADDRESS_HTTP,
    ADDRESS_WS,
};

struct address {
    bool is_tls;
    char host[ADDRESS_HOST_MAX + 1]; /* with the brackets of an IPv6 address */
    uint16_t port;
    char authority[ADDRESS_HOST_MAX + 8]; /* the Host field: the port only where it is not usual */
    char path[ADDRESS_PATH_MAX + 1];      /* without a slash at its end: "" or "/base" */
};

must_check int address_parse(struct str url, enum address_kind kind, struct address *out,
                             struct err *err);
/* Another host behind the same port and scheme. False: too long, or no host name. */
bool address_set_host(struct address *a, struct str host);

#endif

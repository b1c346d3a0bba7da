/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request goes, decided from its head alone: control plane, a port of a sandbox, or a
 * refusal. Pure; the rules are those E2B clients rely on.
 *
 * Host routing: the first label of Host is "<port>-<id>" with anything behind another '-' ignored,
 * any case, any domain. Header routing: E2b-Sandbox-Id and E2b-Sandbox-Port, only on hosts that
 * cannot be a sandbox's own name: localhost, an IP literal, sandbox.<domain>; without a configured
 * domain on every host that is not host-routed. Everything else is the control plane. */
#ifndef EDGE_TARGET_H
#define EDGE_TARGET_H

#include "http/head.h"

enum {
    TARGET_ID_MAX = 63,
    ENVD_PORT = 49983,
};

enum target_kind {
    TARGET_CONTROL,
    TARGET_SANDBOX, /* id and port are set */
    TARGET_SIGNED,  /* /files with a signature and nothing that names the sandbox */
    TARGET_BAD,     /* 400 with `why` as plain text */
};

struct target {
    enum target_kind kind;
    const char *why;
    uint16_t port;
    uint8_t id_len;
    char id[TARGET_ID_MAX + 1]; /* lower case */
};

/* `domain` is the configured one (a port in it is ignored) or empty. */
void target_of(const struct http_head *h, struct str domain, struct target *out);

/* Is it a path of envd that only the server itself may call? Compared after percent-decoding and
 * with repeated, trailing and "." segments removed, so no spelling gets through. */
bool target_is_private(uint16_t port, struct str path);

#endif

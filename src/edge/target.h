/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request goes, decided from its head alone: control plane, a port of a sandbox, or a
 * refusal. Pure; the rules are those E2B clients rely on.
 *
 * Host routing: the first label of Host is "<port>-<id>" with anything behind another '-' ignored,
 * any case, any domain. Header routing: E2b-Sandbox-Id and E2b-Sandbox-Port, only on hosts that
 * cannot be a sandbox's own name: localhost, an IP literal, sandbox.<domain>; without a configured
 * domain on every host that is not host-routed. Path routing, where it is configured and nothing
 * else named a sandbox: "/sandbox/<id>/<port>/..." on the same hosts as header routing; the server
 * in the sandbox sees what is behind the port. Everything else is the control plane.
 *
 * A listener may be for one plane alone. On one for control nothing names a sandbox; on one for
 * data everything must. */
#ifndef EDGE_TARGET_H
#define EDGE_TARGET_H

#include "base/arena.h"
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

enum target_plane {
    TARGET_ANY,
    TARGET_CONTROL_ONLY,
    TARGET_DATA_ONLY,
};

struct target_rule {
    struct str domain; /* the configured one (a port in it is ignored) or empty */
    bool has_paths;    /* path routing is on */
    enum target_plane plane;
};

struct target {
    enum target_kind kind;
    const char *why;
    uint16_t port;
    uint32_t prefix_len; /* bytes of the path that named the sandbox, not for its server */
    uint8_t id_len;
    char id[TARGET_ID_MAX + 1]; /* lower case */
};

void target_of(const struct http_head *h, const struct target_rule *rule, struct target *out);

/* The request target that the server in the sandbox is to see; in the arena where it has to be made
 * up. */
struct str target_behind(const struct target *t, struct arena *a, struct str target);

/* Is it a path of envd that only the server itself may call? Compared after percent-decoding and
 * with repeated, trailing and "." segments removed, so no spelling gets through. */
bool target_is_private(uint16_t port, struct str path);

#endif

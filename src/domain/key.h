/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: "e2b_" + 40 hex digits, shown once; only the SHA-256 is kept (AC-31, RX-13). All keys
 * are in memory by hash, so a check is one hash and one lookup, and a revocation holds from the
 * next request on. */
#ifndef DOMAIN_KEY_H
#define DOMAIN_KEY_H

#include "domain/team.h"

enum {
    KEY_NAME_MAX = 256,
    KEY_MEM_MAX = 16 << 10,
    KEYS_MAX = 100000,
};

struct key {
    struct key_record r;
    struct arena mem;
    struct team *team;
    double rate_left; /* api/gate.c: token bucket */
    uint64_t rate_ms; /* and when it was looked at last; 0: never */
};

enum key_fault {
    KEY_GOOD,
    KEY_MALFORMED, /* does not start with "e2b_" */
    KEY_NOT_HEX,   /* the rest is not hex */
    KEY_UNKNOWN,   /* nor revoked or expired ones */
};

/* The key of this text, or NULL and why. Any text whose hash is known is a key, whatever it looks
 * like. */
struct key *key_check(const struct domain *d, struct str text, enum key_fault *out_fault);

/* `raw` is the new key, readable only in this call. */
typedef void key_created_fn(void *ctx, const struct key *k, struct str raw, const struct err *err);
must_check int key_create(struct domain *d, struct team *team, struct str name, key_created_fn *fn,
                          void *ctx, struct err *err);

typedef void key_revoked_fn(void *ctx, const struct err *err);
/* ERR_NOT_FOUND when the team has no valid key of this id. */
must_check int key_revoke(struct domain *d, const struct team *team, struct str id,
                          key_revoked_fn *fn, void *ctx, struct err *err);

/* Valid keys of a team, oldest first; an array in the arena, NULL when it is too small. */
const struct key **key_list(const struct domain *d, const struct team *team, struct arena *a,
                            size_t *out_count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: "e2b_" + 40 hex digits, shown once; only the SHA-256 is kept (AC-31, RX-13). All keys
 * are in memory by hash, so a check is one hash and one lookup (AD-08), and a revocation holds from
 * the next request on.
 *
 * A key belongs to a team and has scopes (AD-07). Keys come from the store, or from a file or the
 * environment (key_import.h); the latter are never written and can only be changed where they are.
 * A revocation takes effect before it is durable; everything else when it is. */
#ifndef DOMAIN_KEY_H
#define DOMAIN_KEY_H

#include "base/bucket.h"
#include "domain/team.h"

enum {
    KEY_NAME_MAX = 256,
    KEY_DESCRIPTION_MAX = 256, /* AC-47 */
    KEY_MEM_MAX = 16 << 10,
    KEYS_MAX = 100000,
    KEYS_ENDED_KEPT = 1000,         /* revoked or expired ones of a team that are remembered */
    KEY_HASH_LEN = 64,              /* SHA-256 in hex */
    KEY_LIFE_MAX_S = 10 * 31536000, /* longest life that may be asked for, and grace period */
    KEY_REFUSED_MS = 10 * 60 * 1000,
    KEY_USE_MS = 60 * 1000, /* how late the time of the last use is written */
};

enum key_scope {
    KEY_READ = 1,                      /* look at sandboxes, templates … */
    KEY_WRITE = 2,                     /* make, change, end them */
    KEY_ADMIN = 4,                     /* manage the keys of the team */
    KEY_SCOPES = KEY_READ | KEY_WRITE, /* of a key that nobody said anything about */
    KEY_SCOPES_ALL = KEY_READ | KEY_WRITE | KEY_ADMIN,
};

enum key_source {
    KEY_FROM_STORE,
    KEY_FROM_FILE,
    KEY_FROM_ENVIRONMENT,
};

enum key_status {
    KEY_VALID,
    KEY_REVOKED,
    KEY_EXPIRED,
    KEY_ORPHANED, /* its team does not exist: never valid */
    KEY_STATUS_COUNT,
};

struct key {
    struct key_record r;
    struct arena mem;
    struct team *team; /* NULL: orphaned */
    enum key_source source;
    struct list_node of_team; /* in team->keys */
    struct list_node use;     /* in domain->keys_used: its last use is not written yet */
    bool is_changing;         /* a new name waits for its commit */
    uint64_t import_round;    /* key_import.c */
    struct bucket rate;       /* api/gate.c */
    int64_t refused_at_ms;    /* of the last event that told so; 0: none */
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
/* Tells of a try with a key that was revoked, has expired or is an orphan, once in
 * KEY_REFUSED_MS for each. Texts that never were keys have no team to be told. */
void key_refuse(struct domain *d, struct str text);
/* Remember that it was used now; written within KEY_USE_MS together with others. */
void key_use(struct domain *d, struct key *k);
enum key_status key_status(const struct key *k);
const char *key_status_name(enum key_status status); /* "valid" */
const char *key_source_name(enum key_source source); /* "store" */
uint32_t key_scopes(const struct key *k);
/* "read" is 1 …; 0: there is no such scope. */
uint32_t key_scope_of(struct str name);
const char *key_scope_name(uint32_t scope); /* of a single one */
size_t key_count_valid(const struct team *t);

struct key_params {
    struct team *team;
    struct str name, description;
    uint32_t scopes;       /* 0: KEY_SCOPES */
    int64_t expires_at_ms; /* 0: never */
};

/* `raw` is the new key, readable only in this call. k NULL: not done, as err says. */
typedef void key_created_fn(void *ctx, const struct key *k, struct str raw, const struct err *err);
typedef void key_done_fn(void *ctx, const struct err *err);

/* ERR_INVALID, or ERR_LIMIT when the team has all the keys it may have. */
must_check int key_create(struct domain *d, const struct key_params *p, key_created_fn *fn,
                          void *ctx, struct err *err);

/* The following work on a stored key of that team (NULL: of any). ERR_NOT_FOUND when there is no
 * valid one of this id, ERR_CONFLICT when it comes from a file or the environment. */
must_check int key_revoke(struct domain *d, const struct team *team, struct str id, key_done_fn *fn,
                          void *ctx, struct err *err);
/* A new key with the name, team, scopes and end of the old one, which ends after grace_s seconds
 * (0: at once). Both or nothing. */
must_check int key_rotate(struct domain *d, const struct team *team, struct str id, int64_t grace_s,
                          key_created_fn *fn, void *ctx, struct err *err);

struct key_change {
    const struct team *team; /* NULL: any */
    struct str id;
    struct str name, description;
    bool has_name, has_description;
};

/* ERR_CONFLICT also while an earlier change is being written. */
must_check int key_alter(struct domain *d, const struct key_change *change, key_done_fn *fn,
                         void *ctx, struct err *err);

struct key_query {
    const struct team *team; /* NULL: all */
    unsigned statuses;       /* bits 1 << enum key_status */
    struct str hash_prefix;  /* empty: any */
    struct str id;           /* the same */
};

/* Oldest first; an array in the arena, NULL when it is too small. */
const struct key **key_list(const struct domain *d, const struct key_query *q, struct arena *a,
                            size_t *out_count);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets of a team (wire.md 2.4, 7.4): values that rules of sandboxes (network_rules.h) put into
 * requests outside of them. A value is written and never shown again: not by the API, not in an
 * event, not in the log; the store keeps it sealed. A change is told to the sandboxes that use it
 * as soon as it is durable. */
#ifndef DOMAIN_SECRET_H
#define DOMAIN_SECRET_H

#include "base/arena.h"
#include "base/id.h"
#include "codec/codec.h"
#include "domain/team.h"

enum {
    SECRET_NAME_MAX = 128,
    SECRET_VALUE_MAX = 4096,
    SECRET_METADATA_MAX = 32, /* entries */
    SECRET_METADATA_KEY_MAX = 128,
    SECRET_METADATA_VALUE_MAX = 1024,
    SECRET_METADATA_BYTES_MAX = 8192,
    SECRET_ID_LEN = 24, /* "sec_" and 20 of [a-z0-9] */
    SECRETS_PER_TEAM_MAX = 1000,
    SECRETS_MAX = 100000,
};

struct secret_record {
    struct str id, team_id;
    struct str name; /* lower case */
    struct str value;
    int64_t version; /* 1, and one more with each value */
    struct codec_list metadata;
    int64_t created_at_ms, updated_at_ms;
};

struct secret {
    struct secret_record r;
    struct arena mem;
    int64_t version_last;                         /* given to a change, durable or not */
    char key[UUID_LEN + 1 + SECRET_NAME_MAX + 1]; /* "<team id>/<name>" */
};

/* s NULL: it was removed. err NULL: durable. */
typedef void secret_done_fn(void *ctx, const struct secret *s, const struct err *err);

struct secret_params {
    struct str name; /* of a new one */
    struct str value;
    struct codec_list metadata;
    bool has_metadata; /* else it stays */
};

/* ERR_EXISTS: the team has one of that name. */
must_check int secret_create(struct domain *d, const struct team *team,
                             const struct secret_params *p, secret_done_fn *fn, void *ctx,
                             struct err *err);
/* `which`: its id, or its name in any spelling. */
must_check int secret_change(struct domain *d, const struct team *team, struct str which,
                             const struct secret_params *p, secret_done_fn *fn, void *ctx,
                             struct err *err);
must_check int secret_remove(struct domain *d, const struct team *team, struct str which,
                             secret_done_fn *fn, void *ctx, struct err *err);
const struct secret *secret_find(const struct domain *d, const struct team *team, struct str which);

/* A page of one team, the oldest first, behind the secret `after` (empty: from the beginning).
 * NULL: the arena is too small. */
const struct secret **secret_list(const struct domain *d, const struct team *team, struct str after,
                                  struct arena *a, size_t *out_count);

/* For domain.c. */
struct secrets *secrets_new(void);
void secrets_free(struct secrets *all);
must_check int secret_load(struct domain *d, struct err *err);

#endif

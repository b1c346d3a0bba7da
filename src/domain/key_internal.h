/* SPDX-License-Identifier: Apache-2.0 */
/* What key.c, key_change.c and key_import.c share. Never included from outside this folder. */
#ifndef DOMAIN_KEY_INTERNAL_H
#define DOMAIN_KEY_INTERNAL_H

#include "domain/domain_internal.h"
#include "domain/key.h"

extern const char key_prefix[]; /* "e2b_" */

enum {
    KEY_PREFIX_LEN = 4,
    KEY_HEAD_LEN = 2, /* characters of the value that may be shown */
    KEY_TAIL_LEN = 4,
};

void key_hash(struct str text, char out[KEY_HASH_LEN + 1]);
/* A key that owns its texts; not in any map yet. */
struct key *key_new(struct domain *d, const struct key_record *r, struct err *err);
void key_free(struct key *k);
void key_publish(struct domain *d, struct key *k);
/* Out of all maps and lists, freed. */
void key_drop(struct domain *d, struct key *k);
/* Queue its record. */
must_check int key_save(struct domain *d, const struct key_record *r, struct err *err);
struct key *key_by_hash(const struct domain *d, struct str hash);
/* Another name and description, in memory only. */
void key_rename(struct domain *d, struct key *k, struct str name, struct str description);

void key_change_done(struct domain *d); /* key_change.c */

#endif

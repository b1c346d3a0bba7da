/* SPDX-License-Identifier: Apache-2.0 */
/* The text form of API keys that are given to the server instead of made by it: a file, a mounted
 * Secret, an environment variable (AC-34).
 *
 *   KEY                       of the default team, with the usual scopes
 *   KEY:TEAM                  e2b_0123…:research
 *   KEY:TEAM:SCOPE+SCOPE      e2b_0123…:research:read
 *   sha256:HASH:TEAM:SCOPE    only the SHA-256 of the key, in lower-case hex
 *
 * Entries are separated by commas or line ends. Blank entries and lines that begin with '#' are
 * skipped. A key is 16 to 512 printable characters without ',' and ':'. Pure. */
#ifndef DOMAIN_KEY_TEXT_H
#define DOMAIN_KEY_TEXT_H

#include "base/err.h"
#include "base/str.h"
#include "domain/key.h"

enum {
    KEY_TEXT_MIN = 16,
    KEY_TEXT_MAX = 512,
};

struct key_entry {
    char hash[KEY_HASH_LEN + 1];
    struct str text; /* the key itself; empty when only its hash is known */
    struct str team; /* empty: not said */
    uint32_t scopes; /* 0: not said */
};

/* Takes the next entry off the front of *rest; false at the end. */
bool key_text_next(struct str *rest, struct str *out);
/* Errors never quote the entry: it is a secret. */
must_check int key_text_parse(struct str entry, struct key_entry *out, struct err *err);

#endif

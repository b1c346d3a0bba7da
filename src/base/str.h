/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed slice of bytes. It owns nothing, is not terminated, and may hold any byte.
 * Valid as long as what it points into; across a turn of the loop copy it (arena_str, buf_add). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/own.h"

struct str {
    const char *at; /* may be NULL when len is 0 */
    size_t len;
};

#define STR(literal) ((struct str){"" literal, sizeof(literal) - 1})
#define STR_ARG(s)   (int)(s).len, (s).at == NULL ? "" : (s).at /* for "%.*s" */

static inline struct str str_of(const char *text)
{
    return (struct str){text, text == NULL ? 0 : strlen(text)};
}

bool str_eq(struct str a, struct str b);
bool str_is(struct str a, const char *text);
bool str_ieq(struct str a, struct str b); /* ASCII letters only, as HTTP asks */
bool str_has_prefix(struct str s, const char *prefix);
bool str_has_suffix(struct str s, const char *suffix);
/* Same answer in time that depends on the lengths only: for tokens and signatures. */
bool str_eq_secret(struct str a, struct str b);

/* Offset of the first `byte`, or -1. */
ssize_t str_find(struct str s, char byte);
/* The part before the first `byte`; *rest gets what follows it. Without one: all, empty rest. */
struct str str_cut(struct str s, char byte, struct str *rest);
struct str str_trim(struct str s); /* blanks and tabs at both ends */
struct str str_from(struct str s, size_t offset);
struct str str_upto(struct str s, size_t len);

/* Strict: digits only, no sign, no blanks, no overflow. Returns false otherwise, *out untouched. */
bool str_to_u64(struct str s, uint64_t *out);
bool str_to_i64(struct str s, int64_t *out); /* one leading '-' allowed */

/* Copy into `to` with a terminating NUL. False (and nothing written) if it does not fit or holds a
 * NUL byte: the way to a C path from outside text. */
bool str_to_c(struct str s, char *to, size_t size);

#endif

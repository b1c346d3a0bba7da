/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed slices: comparing, cutting, converting. Used everywhere. */
#include "base/str.h"

bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

bool str_is(struct str a, const char *text)
{
    return str_eq(a, str_of(text));
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

bool str_ieq(struct str a, struct str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    }
    return true;
}

bool str_has_prefix(struct str s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.len >= len && (len == 0 || memcmp(s.at, prefix, len) == 0);
}

bool str_has_suffix(struct str s, const char *suffix)
{
    size_t len = strlen(suffix);

    return s.len >= len && (len == 0 || memcmp(s.at + s.len - len, suffix, len) == 0);
}

bool str_eq_secret(struct str a, struct str b)
{
    volatile unsigned char differs = 0; /* volatile: no early exit by a clever compiler */

    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        differs = (unsigned char)(differs | (a.at[i] ^ b.at[i]));
    return differs == 0;
}

ssize_t str_find(struct str s, char byte)
{
    const char *found = s.len == 0 ? NULL : memchr(s.at, byte, s.len);

    return found == NULL ? -1 : found - s.at;
}

struct str str_cut(struct str s, char byte, struct str *rest)
{
    ssize_t at = str_find(s, byte);

    if (at < 0) {
        *rest = str_from(s, s.len);
        return s;
    }
    *rest = str_from(s, (size_t)at + 1);
    return str_upto(s, (size_t)at);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    size_t from = 0, to = s.len;

    while (from < to && is_blank(s.at[from]))
        from++;
    while (from < to && is_blank(s.at[to - 1]))
        to--;
    return str_from(str_upto(s, to), from);
}

struct str str_from(struct str s, size_t offset)
{
    if (offset > s.len)
        offset = s.len;
    return (struct str){s.at == NULL ? NULL : s.at + offset, s.len - offset};
}

struct str str_upto(struct str s, size_t len)
{
    return (struct str){s.at, len < s.len ? len : s.len};
}

bool str_to_u64(struct str s, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): .at is NULL only when .len is 0 */
        unsigned digit = (unsigned)(unsigned char)s.at[i] - '0';

        if (digit > 9 || value > (UINT64_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool str_to_i64(struct str s, int64_t *out)
{
    bool is_negative = s.len > 0 && s.at[0] == '-';
    uint64_t size = 0;

    if (!str_to_u64(is_negative ? str_from(s, 1) : s, &size))
        return false;
    if (size > (uint64_t)INT64_MAX + (is_negative ? 1 : 0))
        return false;
    /* through unsigned arithmetic: INT64_MIN has no positive twin */
    *out = (int64_t)(is_negative ? 0 - size : size);
    return true;
}

bool str_to_c(struct str s, char *to, size_t size)
{
    if (s.len >= size || str_find(s, '\0') >= 0)
        return false;
    if (s.len > 0)
        memcpy(to, s.at, s.len);
    to[s.len] = '\0';
    return true;
}

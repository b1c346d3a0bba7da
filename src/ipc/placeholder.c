/* SPDX-License-Identifier: Apache-2.0 */
/* See placeholder.h. Used by domain/network_rules.c and egress/rules.c. */
#include "ipc/placeholder.h"

enum {
    NAME_MAX_LEN = 128, /* of a secret */
};

static const struct str any = STR("${e2b."), secret = STR("${e2b.secrets.");

static ssize_t find(struct str text, struct str what)
{
    const char *at = text.len >= what.len ? memmem(text.at, text.len, what.at, what.len) : NULL;

    return at == NULL ? -1 : at - text.at;
}

static bool is_name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
}

/* At the front of `text`: the length of a placeholder, or 0. */
static size_t take(struct str text, struct str *name)
{
    size_t len = secret.len;

    if (!str_eq(str_upto(text, secret.len), secret))
        return 0;
    while (len < text.len && is_name_char(text.at[len]))
        len++;
    if (len == secret.len || len == text.len || text.at[len] != '}' ||
        len - secret.len > NAME_MAX_LEN)
        return 0;
    *name = str_from(str_upto(text, len), secret.len);
    return len + 1;
}

bool placeholder_check(struct str text, const char **why)
{
    ssize_t at;

    while ((at = find(text, any)) >= 0) {
        struct str name;
        size_t len = take(str_from(text, (size_t)at), &name);

        if (len == 0) {
            *why = "a placeholder that is not \"${e2b.secrets.NAME}\"";
            return false;
        }
        text = str_from(text, (size_t)at + len);
    }
    return true;
}

bool placeholder_next(struct str *rest, struct str *before, struct str *name)
{
    struct str text = *rest;
    ssize_t at = find(text, secret);
    size_t len;

    while (at >= 0) {
        len = take(str_from(text, (size_t)at), name);
        if (len > 0) {
            size_t offset = (size_t)(text.at - rest->at) + (size_t)at;

            if (before != NULL)
                *before = str_upto(*rest, offset);
            *rest = str_from(*rest, offset + len);
            return true;
        }
        text = str_from(text, (size_t)at + 1);
        at = find(text, secret);
    }
    if (before != NULL)
        *before = *rest;
    *rest = str_from(*rest, rest->len);
    return false;
}

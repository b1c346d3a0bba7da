/* SPDX-License-Identifier: Apache-2.0 */
/* Parser of template references. Called by template.c. */
#include "domain/template_name.h"

#include "base/id.h"

static bool is_made_of(struct str s, bool may_dot)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        bool is_word = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';

        if (!is_word && !(may_dot && c == '.'))
            return false;
    }
    return s.len > 0;
}

static bool is_uuid(struct str s)
{
    if (s.len != UUID_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = s.at[i];
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

        if (is_dash ? c != '-' : !is_hex)
            return false;
    }
    return true;
}

static int refuse(struct err *err, struct str text, const char *why)
{
    return err_set(err, ERR_INVALID, "Invalid template reference: '%.*s' %s",
                   STR_ARG(str_upto(text, 64)), why);
}

/* .at NULL: no memory. */
static struct str lower_case(struct str text, struct arena *a)
{
    struct str lower = arena_str(a, text);
    char *bytes = (char *)(uintptr_t)lower.at;

    for (size_t i = 0; i < lower.len; i++)
        if (bytes[i] >= 'A' && bytes[i] <= 'Z')
            bytes[i] = (char)(bytes[i] - 'A' + 'a');
    return lower;
}

int template_ref_parse(struct str text, struct arena *a, struct template_name *out, struct err *err)
{
    struct str trimmed = str_trim(text);
    struct template_name n = {0};
    struct str lower, rest;

    if (trimmed.len == 0)
        return err_set(err, ERR_INVALID, "Invalid template reference: it is empty");
    if (trimmed.len > TEMPLATE_NAME_MAX)
        return refuse(err, trimmed, "is too long");
    lower = lower_case(trimmed, a);
    if (lower.at == NULL)
        return err_set(err, ERR_LIMIT, "no memory for a template reference");

    n.tag = STR("default");
    if (str_find(lower, ':') >= 0) {
        lower = str_cut(lower, ':', &n.tag);
        if (!is_made_of(n.tag, true))
            return refuse(err, trimmed, "has a bad tag");
        n.is_build = is_uuid(n.tag);
    }
    n.name = lower;
    if (str_find(lower, '/') >= 0) {
        n.space = str_cut(lower, '/', &rest);
        n.name = rest;
        if (!is_made_of(n.space, false))
            return refuse(err, trimmed, "has a bad namespace");
    }
    if (!is_made_of(n.name, false))
        return refuse(err, trimmed, "may hold a-z, 0-9, '-' and '_' only");
    *out = n;
    return 0;
}

int template_name_parse(struct str text, struct arena *a, struct template_name *out,
                        struct err *err)
{
    struct template_name n;

    if (template_ref_parse(text, a, &n, err) != 0)
        return -1;
    if (n.is_build)
        return refuse(err, str_trim(text), "has a tag that is a UUID");
    *out = n;
    return 0;
}

int template_tag_parse(struct str text, struct arena *a, struct str *out, struct err *err)
{
    struct str trimmed = str_trim(text), lower = lower_case(trimmed, a);

    if (lower.at == NULL)
        return err_set(err, ERR_LIMIT, "no memory for a tag");
    if (lower.len > TEMPLATE_NAME_MAX || !is_made_of(lower, true))
        return err_set(err, ERR_INVALID, "Invalid tag: '%.*s' may hold a-z, 0-9, '-', '_' and '.'",
                       STR_ARG(str_upto(trimmed, 64)));
    if (is_uuid(lower))
        return err_set(err, ERR_INVALID, "Invalid tag: '%.*s' is a UUID", STR_ARG(lower));
    *out = lower;
    return 0;
}

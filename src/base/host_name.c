/* SPDX-License-Identifier: Apache-2.0 */
/* See host_name.h. Called by domain/network.c and by what reads a connection's first bytes. */
#include "base/host_name.h"

static bool is_label(struct str label)
{
    if (label.len == 0 || label.len > HOST_LABEL_MAX || label.at[0] == '-' ||
        label.at[label.len - 1] == '-')
        return false;
    for (size_t i = 0; i < label.len; i++) {
        char c = label.at[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

bool host_name_is_good(struct str name)
{
    struct str last;

    if (name.len == 0 || name.len > HOST_NAME_MAX_LEN || name.at[name.len - 1] == '.')
        return false;
    do {
        last = str_cut(name, '.', &name);
        if (!is_label(last))
            return false;
    } while (name.len > 0);
    return last.at[0] < '0' || last.at[0] > '9';
}

bool host_pattern_is_good(struct str pattern)
{
    if (str_is(pattern, "*"))
        return true;
    return host_name_is_good(str_has_prefix(pattern, "*.") ? str_from(pattern, 2) : pattern);
}

bool host_pattern_matches(struct str pattern, struct str name)
{
    struct str below;

    if (!host_name_is_good(name) || !host_pattern_is_good(pattern))
        return false;
    if (str_is(pattern, "*"))
        return true;
    if (!str_has_prefix(pattern, "*."))
        return str_ieq(pattern, name);
    below = str_from(pattern, 1); /* ".a.b" */
    return name.len > below.len && str_ieq(str_from(name, name.len - below.len), below);
}

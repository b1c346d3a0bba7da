/* SPDX-License-Identifier: Apache-2.0 */
/* envd/users: any text as passwd and as group file. */
#include "envd/users.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size}, rest;
    struct str name = str_cut(text, ':', &rest);
    uint32_t groups[8];
    struct user u;

    if (passwd_by_name(text, name, &u) && !str_eq(u.name, name))
        abort();
    if (passwd_by_uid(text, 1000, &u) && u.uid != 1000)
        abort();
    if (group_members(text, name, groups, 8) > 8)
        abort();
    rest = group_by_gid(text, 27);
    if (rest.at != NULL && rest.len == 0)
        abort();
    return 0;
}

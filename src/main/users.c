/* SPDX-License-Identifier: Apache-2.0 */
/* Users of the unprivileged roles; part of layout.h. */
#include <errno.h>
#include <pwd.h>

#include "main/layout.h"

int user_find(const char *name, struct user *out, struct err *err)
{
    struct passwd entry, *found = NULL;
    char text[4096];
    uint64_t number;
    int failure;

    if (str_to_u64(str_of(name), &number) && number < UINT32_MAX) {
        *out = (struct user){(uid_t)number, (gid_t)number};
        return 0;
    }
    failure = getpwnam_r(name, &entry, text, sizeof text, &found);
    if (failure != 0)
        return err_sys(err, failure, "look up user '%s'", name);
    if (found == NULL)
        return err_set(err, ERR_NOT_FOUND,
                       "user '%s' does not exist; make it with: useradd --system --no-create-home "
                       "--shell /usr/sbin/nologin %s",
                       name, name);
    *out = (struct user){found->pw_uid, found->pw_gid};
    return 0;
}

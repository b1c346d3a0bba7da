/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the guest daemon; see envd_path.h. */
#include "main/envd_path.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>

static bool is_there(char *out, size_t size, const char *dir, const char *name)
{
    int len = snprintf(out, size, "%s/%s", dir, name);

    return len > 0 && (size_t)len < size && access(out, X_OK) == 0;
}

int envd_path(const char *configured, char *out, size_t size, struct err *err)
{
    static const char *const beside[] = {"envd", "../envd/envd", "../lib/sandlot/envd",
                                         "../libexec/sandlot/envd"};
    char exe[PATH_MAX];
    ssize_t len;
    const char *dir;

    if (configured[0] != '\0') {
        if (access(configured, X_OK) != 0)
            return err_sys(err, errno, "runtime.envd_path '%s'", configured);
        if ((size_t)snprintf(out, size, "%s", configured) >= size)
            return err_set(err, ERR_INVALID, "runtime.envd_path is too long");
        return 0;
    }
    len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    if (len <= 0)
        return err_sys(err, errno, "find this program");
    exe[len] = '\0';
    dir = dirname(exe);
    for (size_t i = 0; i < COUNT_OF(beside); i++) {
        if (is_there(out, size, dir, beside[i]))
            return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "no envd beside '%s'; set runtime.envd_path", dir);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the guest daemon; see envd_path.h. */
#include "main/envd_path.h"

#include <errno.h>
#include <stdio.h>

#include "main/program_path.h"

int envd_path(const char *configured, char *out, size_t size, struct err *err)
{
    static const char *const beside[] = {"envd", "../envd/envd", "../lib/sandlot/envd",
                                         "../libexec/sandlot/envd"};

    if (configured[0] != '\0') {
        if (access(configured, X_OK) != 0)
            return err_sys(err, errno, "runtime.envd_path '%s'", configured);
        if ((size_t)snprintf(out, size, "%s", configured) >= size)
            return err_set(err, ERR_INVALID, "runtime.envd_path is too long");
        return 0;
    }
    if (program_path(beside, COUNT_OF(beside), out, size, err) != 0)
        return err_wrap(err, "set runtime.envd_path");
    return 0;
}

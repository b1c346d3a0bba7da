/* SPDX-License-Identifier: Apache-2.0 */
/* See program_path.h. */
#include "main/program_path.h"

#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

static bool is_there(char *out, size_t size, const char *dir, const char *name)
{
    int len = snprintf(out, size, "%s/%s", dir, name);

    return len > 0 && (size_t)len < size && access(out, X_OK) == 0;
}

int program_path(const char *const *places, size_t count, char *out, size_t size, struct err *err)
{
    char exe[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", exe, sizeof exe - 1);
    const char *dir;

    if (len <= 0)
        return err_sys(err, errno, "find this program");
    exe[len] = '\0';
    dir = dirname(exe);
    for (size_t i = 0; i < count; i++) {
        if (is_there(out, size, dir, places[i]))
            return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "no %s beside '%s'", places[0], dir);
}

int tool_path(const char *name, char *out, size_t size, struct err *err)
{
    char installed[PROGRAM_PATH_MAX], source[PROGRAM_PATH_MAX];
    const char *const places[] = {installed, source};

    ignore(snprintf(installed, sizeof installed, "../share/sandlot/tools/%s", name));
    ignore(snprintf(source, sizeof source, "../../../../tools/%s", name));
    return program_path(places, COUNT_OF(places), out, size, err);
}

int image_program_path(char *out, size_t size, struct err *err)
{
    static const char *const places[] = {"sandlot-image", "../libexec/sandlot/sandlot-image",
                                         "../lib/sandlot/sandlot-image"};

    return program_path(places, COUNT_OF(places), out, size, err);
}

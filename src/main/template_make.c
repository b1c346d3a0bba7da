/* SPDX-License-Identifier: Apache-2.0 */
/* template make: executes tools/make-template, wherever it is installed, on our data_dir. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>

#include "main/program_path.h"
#include "main/role.h"

/* What goes into some templates: of a build tree. The script itself knows where it is installed. */
static int name_programs(void)
{
    static const char *const places[] = {"../interpreter/sandlot-interpreter"};
    char path[PROGRAM_PATH_MAX];
    struct err unused;

    if (program_path(places, COUNT_OF(places), path, sizeof path, &unused) != 0)
        return 0;
    return setenv("SANDLOT_PROGRAMS", dirname(path), 0);
}

int template_make_command(const struct invocation *v)
{
    const struct program *program = v->ctx;
    char path[PROGRAM_PATH_MAX], data[PATH_MAX], name[] = "make-template";
    char *const words[] = {name, v->words[0], data, NULL};
    struct err err;

    if (tool_path(name, path, sizeof path, &err) != 0)
        return command_fail(v, "%s", err.text);
    if (!str_to_c(str_of(program->config.data_dir), data, sizeof data) || name_programs() != 0)
        return command_fail(v, "prepare '%s': %s", path, strerror(errno));
    execv(path, words);
    return command_fail(v, "execute '%s': %s", path, strerror(errno));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Where our other programs are: beside this one, in the build tree or installed. */
#ifndef MAIN_PROGRAM_PATH_H
#define MAIN_PROGRAM_PATH_H

#include "base/err.h"

enum { PROGRAM_PATH_MAX = 1024 };

/* The first of the paths, relative to this program's directory, that can be executed. */
must_check int program_path(const char *const *places, size_t count, char *out, size_t size,
                            struct err *err);
/* sandlot-image. */
must_check int image_program_path(char *out, size_t size, struct err *err);
/* A script of tools/, there or installed. */
must_check int tool_path(const char *name, char *out, size_t size, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Where the guest daemon is: as configured, else beside this program, in the build tree or
 * installed. */
#ifndef MAIN_ENVD_PATH_H
#define MAIN_ENVD_PATH_H

#include <stdbool.h>

#include "base/err.h"

must_check int envd_path(const char *configured, char *out, size_t size, struct err *err);

#endif

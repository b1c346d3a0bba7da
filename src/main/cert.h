/* SPDX-License-Identifier: Apache-2.0 */
/* The command `cert`: certificates of a local authority, for names that no public one vouches for.
 */
#ifndef MAIN_CERT_H
#define MAIN_CERT_H

#include "cli/command.h"

int cert_command(const struct invocation *v);

#endif

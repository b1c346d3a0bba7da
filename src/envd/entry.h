/* SPDX-License-Identifier: Apache-2.0 */
/* EntryInfo: what clients see of a file (wire.md 3.6). */
#ifndef ENVD_ENTRY_H
#define ENVD_ENTRY_H

#include <sys/stat.h>

#include "envd/messages.h"
#include "envd/users.h"

enum { PERMISSIONS_MAX = 16 };

/* Go's notation: "-rw-r--r--", "Lrwxrwxrwx", "dtrwxrwxrwx", "urwxr-xr-x". */
void entry_permissions(mode_t mode, char out[PERMISSIONS_MAX]);
/* Look at `path` (absolute, NUL behind, links not followed). Strings are in `a`, except the owner
 * names: they are valid until `o` is asked again. */
must_check int entry_read(struct str path, struct owners *o, struct arena *a,
                          struct entry_info *out, struct err *err);
/* Leave name, type and path: see answer_is_legacy(). */
void entry_trim(struct entry_info *e);

#endif

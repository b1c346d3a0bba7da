/* SPDX-License-Identifier: Apache-2.0 */
/* "${e2b.secrets.<name>}" within the value of a header (wire.md 7.4, 7.5): checked where rules come
 * in, filled where they are used. Pure. */
#ifndef IPC_PLACEHOLDER_H
#define IPC_PLACEHOLDER_H

#include "base/buf.h"

/* Is every "${e2b." in it the placeholder of a secret? False: *why is a static text. Other text is
 * text. */
bool placeholder_check(struct str text, const char **why);
/* The next placeholder of *rest, which then is what follows it; *before is what stands in front of
 * it (or all that is left when there is none). before may be NULL. */
bool placeholder_next(struct str *rest, struct str *before, struct str *name);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Which host does a connection ask for? Told from its first bytes, whatever its port: TLS by the
 * name in the client's hello, HTTP/1 by Host. Pure; bytes are looked at, not used up. */
#ifndef HTTP_ASKED_NAME_H
#define HTTP_ASKED_NAME_H

#include "base/host_name.h"

enum {
    ASKED_NAME_BYTES_MAX = 32 << 10, /* not told by then: refused */
};

enum asked {
    ASKED_MORE, /* cannot be told yet */
    ASKED_NAME,
    ASKED_REFUSED, /* it names nothing, hides it, says two things, or is neither TLS nor HTTP/1 */
};

/* `in`: all that was sent so far. ASKED_NAME: a good name, terminated. ASKED_REFUSED: *why is a
 * static text for people. HTTP is read by the strict rules of head.h, since the far end may read
 * an ambiguous request in another way. Only the first request of a connection is looked at. */
enum asked asked_name_read(struct str in, char out_name[HOST_NAME_MAX_LEN + 1], const char **why);

#endif

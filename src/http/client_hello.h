/* SPDX-License-Identifier: Apache-2.0 */
/* The first message of a TLS client (RFC 8446 4.1.2), read for the name it asks for (RFC 6066 3).
 * Pure; bytes are looked at, not used up. Nothing else of the message is judged: what a relay
 * passes on is between its two ends. */
#ifndef HTTP_CLIENT_HELLO_H
#define HTTP_CLIENT_HELLO_H

#include "base/host_name.h"

enum {
    CLIENT_HELLO_MAX = 16 << 10, /* of the message; with keys of today's sizes below 4 KiB */
};

enum client_hello {
    CLIENT_HELLO_MORE,      /* good so far, not complete */
    CLIENT_HELLO_NAME,      /* names a host */
    CLIENT_HELLO_NAMELESS,  /* complete and names none */
    CLIENT_HELLO_ENCRYPTED, /* the name is, or may be, another than the one in clear: an extension
                             * of encrypted hellos is there. That it is only GREASE (RFC 8701 for
                             * encrypted hellos) cannot be told from outside, by design */
    CLIENT_HELLO_BAD,       /* no hello of SSL 3.0 to TLS 1.3, or damaged */
};

/* `in` holds what the client has sent so far, from its first byte; the message may be spread over
 * any number of records. CLIENT_HELLO_NAME: the name is in *out_name, terminated, a good one
 * (host_name.h), in the client's spelling. */
enum client_hello client_hello_read(struct str in, char out_name[HOST_NAME_MAX_LEN + 1]);

#endif

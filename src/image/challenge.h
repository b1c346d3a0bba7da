/* SPDX-License-Identifier: Apache-2.0 */
/* WWW-Authenticate of registries (RFC 9110 section 11.6.1): how they want to be asked. Pure. */
#ifndef IMAGE_CHALLENGE_H
#define IMAGE_CHALLENGE_H

#include "base/arena.h"
#include "base/str.h"

enum { CHALLENGE_MAX = 8192 }; /* bytes of the field */

enum challenge_scheme {
    CHALLENGE_NONE, /* nothing that we know */
    CHALLENGE_BASIC,
    CHALLENGE_BEARER,
};

struct challenge {
    enum challenge_scheme scheme;
    struct str realm, service, scope; /* .at NULL when absent */
};

/* A field may hold several challenges; the best that is understood wins, bearer before basic. A
 * bearer challenge without a realm is none. Texts are in the arena. */
void challenge_read(struct str field, struct arena *a, struct challenge *out);

#endif

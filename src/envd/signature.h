/* SPDX-License-Identifier: Apache-2.0 */
/* Signed /files URLs (wire.md 3.12): who may read or write a path without the access token. */
#ifndef ENVD_SIGNATURE_H
#define ENVD_SIGNATURE_H

#include "base/str.h"

enum {
    SIGNATURE_LEN = 3 + 43 /* "v1_" and 32 bytes in base64 without its padding */
};

struct signature_input {
    struct str path;       /* decoded `path` of the query, unresolved; may be empty */
    const char *operation; /* "read" or "write" */
    struct str user;       /* decoded `username`; may be empty */
    struct str token;      /* the sandbox's access token */
    struct str expiration; /* decoded signature_expiration; .at NULL when absent */
};

void signature_make(const struct signature_input *in, char out[SIGNATURE_LEN + 1]);

/* NULL when `given` is right and not expired at now_s, else the text of the refusal. */
const char *signature_check(struct str given, const struct signature_input *in, int64_t now_s);

#endif

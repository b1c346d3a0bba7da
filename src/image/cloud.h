/* SPDX-License-Identifier: Apache-2.0 */
/* Logins as builds give them (CT-13), turned into the user and password that a registry takes. */
#ifndef IMAGE_CLOUD_H
#define IMAGE_CLOUD_H

#include "image/fetch.h"
#include "ipc/image_messages.h"

struct cloud_login {
    struct str user, password; /* user.len 0: nobody's */
};

/* "registry": as given. "gcp": the service account's key is the password of "_json_key". "aws": ECR
 * is asked for a password, with a signed request (to AWS_ENDPOINT_URL_ECR, if the environment has
 * one). Texts are in the arena. ERR_INVALID: not such a login; ERR_DENIED: AWS refuses it. */
must_check int cloud_login(struct fetcher *f, const struct image_login *login, struct arena *a,
                           struct cloud_login *out, struct err *err);

#endif

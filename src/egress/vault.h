/* SPDX-License-Identifier: Apache-2.0 */
/* What egress was told of one sandbox and nobody else may know: the values of its secrets, the
 * credentials of its proxy, the key of its certificate authority; and the certificates that were
 * made with it, for the hosts whose requests are looked into. */
#ifndef EGRESS_VAULT_H
#define EGRESS_VAULT_H

#include "io/tls.h"
#include "ipc/egress_messages.h"

struct vault;

enum {
    VAULT_LEAVES_MAX = 64, /* certificates kept; the one not used for longest goes */
    VAULT_LEAF_DAYS = 30,
};

/* `encoded`: struct egress_secrets. Empty: an empty vault. */
must_check int vault_new(struct str encoded, struct vault **out, struct err *err);
void vault_free(struct vault *v); /* NULL is fine */
/* NULL stands for an empty one. */
const struct egress_secrets *vault_secrets(const struct vault *v);
/* For the server's side of a handshake with the sandbox. NULL: it has no authority. */
struct tls_context *vault_server(struct vault *v);

#endif

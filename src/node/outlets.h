/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the egress role the ways out of sandboxes (ipc/egress_messages.h). Node carries policies
 * and does not read them; it keeps each in a file of its own, so that a new egress or a new node
 * serves the same. Without the file nothing leaves that sandbox. Used by node.c and commands.c. */
#ifndef NODE_OUTLETS_H
#define NODE_OUTLETS_H

#include "base/err.h"
#include "base/str.h"

enum {
    OUTLETS_SECRETS_MAX = 100000, /* sandboxes that have some */
};

struct node;
struct outlets;

/* `socket`: of egress; `dir`: for the files, made when it is not there. Sandboxes that run already
 * are named when egress answers, and each time it comes back. Files of others are removed. */
must_check int outlets_new(struct node *n, const char *socket, const char *dir,
                           struct outlets **out, struct err *err);
void outlets_free(struct outlets *o); /* NULL is fine; egress goes on with what it has */

/* Before the start of a sandbox: its policy is written. ERR_LIMIT: it is too long. */
must_check int outlets_keep(struct outlets *o, const char *id, struct str policy, struct err *err);
void outlets_open(struct outlets *o, const char *id);  /* it runs */
void outlets_close(struct outlets *o, const char *id); /* it has ended, or did not start */
/* Of one that runs: the new policy is written and told. */
must_check int outlets_change(struct outlets *o, const char *id, struct str policy,
                              struct err *err);
/* What its policy stands on (struct egress_secrets): told before the policy that needs it, kept in
 * memory until outlets_close(). */
must_check int outlets_secrets(struct outlets *o, const char *id, struct str bytes,
                               struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Whose certificates of servers egress believes: this machine's, and the operator's file
 * (network.ca_file). Parsed when the first server is asked for its certificate: a machine's store
 * is three megabytes of memory once it is parsed, and most have no sandbox with rules on HTTPS. */
#ifndef EGRESS_ROOTS_H
#define EGRESS_ROOTS_H

#include "io/tls.h"

struct roots;

/* `file`: PEM, or "" for none; read now, so that what is wrong with it is known at the start. */
must_check int roots_new(const char *file, struct roots **out, struct err *err);
void roots_free(struct roots *r); /* NULL is fine */
/* The client's context of every connection to a server. It lives as long as `r`. */
must_check int roots_context(struct roots *r, struct tls_context **out, struct err *err);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates that a loop of edge serves with: read from files, chosen by the name that a
 * client asks for, read again when a file changes. Connections keep what they have; new files that
 * cannot be used are logged and the old ones stay. Internal to src/edge. */
#ifndef EDGE_CERTS_H
#define EDGE_CERTS_H

#include "io/cert.h"
#include "io/loop.h"

enum {
    CERTS_MAX = 64,
    CERTS_LOOK_MS = 2000,
};

struct cert_file;

struct certs {
    struct cert_file *files[CERTS_MAX];
    size_t count;
    struct loop *loop;
    struct timer timer;
    bool has_log;
    loop_fn *on_change; /* another certificate is served now */
    void *ctx;
};

/* `text`: "CERT:KEY,CERT:KEY"; without ":KEY" the key is in the first file. "" is none. `c` is
 * zeroed. */
must_check int certs_start(struct certs *c, struct loop *l, const char *text, struct err *err);
void certs_stop(struct certs *c);
/* The first that is for this name, else the first of all. */
const struct cert *certs_choose(const struct certs *c, struct str name);

#endif

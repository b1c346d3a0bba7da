/* SPDX-License-Identifier: Apache-2.0 */
/* The certificate authority of a sandbox that has rules: egress signs with its key what it shows
 * the sandbox in the place of servers, and nobody else believes it. The key is made here and is
 * known to egress alone; the certificate is put into the sandbox's stores by a command that
 * domain_hooks.on_trust runs inside. */
#ifndef DOMAIN_AUTHORITY_H
#define DOMAIN_AUTHORITY_H

#include "domain/domain.h"
#include "domain/sandbox.h"

enum {
    AUTHORITY_DAYS = 3650, /* a paused sandbox may sleep for long */
};

/* Where the certificate lies inside, and what of the system's with it. */
extern const char authority_file[], authority_bundle[];
/* Variables that make programs look there, for those that look nowhere else: pairs of name and
 * file. Ends with NULL. */
struct authority_variable {
    const char *name, *file;
};
extern const struct authority_variable authority_variables[];
/* For /bin/sh as root; its first argument is the certificate. */
extern const char authority_script[];

/* A sandbox that is to trust its authority. */
struct trust {
    struct list_node node;
    struct domain *domain;
    char id[SANDBOX_KEY_MAX + 1];
    struct egress *egress; /* rules that wait for it; NULL: its creation does */
    sandbox_done_fn *fn;
    void *ctx;
    void (*then)(struct trust *t, const struct err *err); /* frees it */
};

/* For the files of this folder. Fills s->r.authority. */
must_check int authority_make(struct sandbox *s, struct err *err);
/* `model` is copied; its then() is called once, later. */
void authority_install(struct sandbox *s, const struct trust *model);
void authority_free(struct trust *t);

/* For whom the hook asked: the answer, once. */
void authority_answer(struct trust *t, const struct err *err);
/* What the hook needs; NULL: the sandbox is gone. */
const struct sandbox *authority_sandbox(const struct trust *t);

#endif

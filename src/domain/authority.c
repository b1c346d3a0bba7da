/* SPDX-License-Identifier: Apache-2.0 */
/* See authority.h. Called by sandbox_create.c and sandbox_network.c. */
#include "domain/authority.h"

#include <stdio.h>

#include "domain/domain_internal.h"
#include "io/cert.h"

enum {
    PEM_MAX = 8 << 10,
};

const char authority_file[] = "/usr/local/share/ca-certificates/sandlot.crt";
const char authority_bundle[] = "/usr/local/share/sandlot/ca-bundle.crt";

const struct authority_variable authority_variables[] = {
    {"NODE_EXTRA_CA_CERTS", authority_file  },
    {"DENO_CERT",           authority_file  },
    {"SSL_CERT_FILE",       authority_bundle},
    {"REQUESTS_CA_BUNDLE",  authority_bundle},
    {"CURL_CA_BUNDLE",      authority_bundle},
    {"GIT_SSL_CAINFO",      authority_bundle},
    {"PIP_CERT",            authority_bundle},
    {"AWS_CA_BUNDLE",       authority_bundle},
    {NULL,                  NULL            },
};

/* The files in which distributions keep all that they trust: Debian and Alpine, Fedora, SUSE. What
 * is there gets the certificate behind what it has. A second time nothing is done. */
const char authority_script[] =
    "set -eu\n"
    "umask 022\n"
    "own=/usr/local/share/ca-certificates/sandlot.crt\n"
    "all=/usr/local/share/sandlot/ca-bundle.crt\n"
    "[ \"$(cat \"$own\" 2>/dev/null)\" != \"$(printf '%s' \"$1\")\" ] || exit 0\n"
    "mkdir -p \"${own%/*}\" \"${all%/*}\"\n"
    ": >\"$all.new\"\n"
    "for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt"
    " /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do\n"
    "  [ -s \"$f\" ] || continue\n"
    "  [ -s \"$all.new\" ] || cat \"$f\" >\"$all.new\"\n"
    "  printf '\\n%s' \"$1\" >>\"$f\"\n"
    "done\n"
    "printf '\\n%s' \"$1\" >>\"$all.new\"\n"
    "mv \"$all.new\" \"$all\"\n"
    "printf '%s' \"$1\" >\"$own\"\n"; /* the last: it says that all is done */

static char *keep(struct sandbox *s, struct str text)
{
    return (char *)(uintptr_t)arena_str(&s->mem, text).at;
}

int authority_make(struct sandbox *s, struct err *err)
{
    struct egress_authority *a = arena_alloc(&s->mem, sizeof(*a));
    struct cert *c = NULL;
    struct buf certificate, key;
    char name[SANDBOX_KEY_MAX + 16];
    int result = -1;

    buf_init(&certificate, PEM_MAX);
    buf_init(&key, PEM_MAX);
    ignore(snprintf(name, sizeof(name), "Sandlot %.*s", STR_ARG(s->r.id)));
    if (a == NULL)
        err_set(err, ERR_LIMIT, "sandbox record too large");
    else if (cert_make_authority(name, AUTHORITY_DAYS, &c, err) == 0 &&
             cert_put_chain(c, &certificate, err) == 0 && cert_put_key(c, &key, err) == 0) {
        a->certificate = str_of(keep(s, buf_str(&certificate)));
        a->key = str_of(keep(s, buf_str(&key)));
        result = a->certificate.at != NULL && a->key.at != NULL
                     ? 0
                     : err_set(err, ERR_LIMIT, "sandbox record too large");
    }
    if (result == 0)
        s->r.authority = a;
    if (key.at != NULL)
        explicit_bzero(key.at, key.len);
    buf_done(&certificate);
    buf_done(&key);
    cert_free(c);
    return result == 0 ? 0 : err_wrap(err, "make a certificate authority");
}

void authority_install(struct sandbox *s, const struct trust *model)
{
    struct domain *d = s->domain;
    struct trust *t = mem_zero(sizeof(*t));

    *t = *model;
    t->domain = d;
    ignore(str_to_c(s->r.id, t->id, sizeof(t->id))); /* ids fit */
    list_push(&d->trusts, &t->node);
    if (d->hooks->on_trust != NULL)
        d->hooks->on_trust(d->hooks_ctx, t);
    else
        t->then(t, NULL);
}

void authority_free(struct trust *t)
{
    list_remove(&t->node);
    egress_release(t->egress);
    free(t);
}

void authority_answer(struct trust *t, const struct err *err)
{
    t->then(t, err);
}

const struct sandbox *authority_sandbox(const struct trust *t)
{
    return sandbox_find(t->domain, str_of(t->id));
}

/* SPDX-License-Identifier: Apache-2.0 */
/* A connection whose requests are looked at one by one: HTTP/1.1, plain or within TLS that ends
 * here, under a certificate of the sandbox's own authority (vault.h). Each request is judged by its
 * Host, gets the headers that the rule of that host sets, and goes to where the name leads, never
 * to the address that the sandbox had in mind: what a rule puts in must not be sent anywhere else.
 * The server's certificate is checked against what this machine trusts.
 *
 * Policy, rules and secrets are those of the moment a request comes. Used by tcp.c. */
#ifndef EGRESS_WEB_H
#define EGRESS_WEB_H

#include "egress/outlet.h"

struct web;

struct web_counts {
    uint64_t up, down; /* bytes of bodies */
    unsigned requests, refused;
};

struct web_spec {
    int fd; /* of the sandbox; taken */
    bool is_tls;
    const char *name;          /* that it asked for first */
    struct place to;           /* where it wanted to go: its port and its family are used */
    struct web_counts *counts; /* the caller's: it outlives this */
};

/* on_end: once, later; it has freed itself then. */
void web_start(struct outlet *o, const struct web_spec *spec, loop_fn *on_end, void *ctx,
               struct web **out);
void web_free(struct web *w); /* resets; no call. NULL is fine */
/* Does the policy of now still let this connection be? */
bool web_is_allowed(const struct web *w);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP requests to strangers (libcurl), several at once, in a worker. Where they may go is checked
 * where the socket is made, so neither a name nor a redirection leads into a private network. No
 * redirection is followed here: the caller decides what to tell the next host. */
#ifndef IMAGE_FETCH_H
#define IMAGE_FETCH_H

#include "base/buf.h"
#include "base/err.h"

enum {
    FETCH_URL_MAX = 8192,
    FETCH_FIELD_MAX = 16 << 10, /* of one answer's WWW-Authenticate */
};

struct fetcher;

struct fetch_rule {
    const char *allow;      /* addresses and CIDRs that may be reached besides public ones */
    const char *plain_http; /* "host:port"s without TLS, with commas between */
};

/* Bytes of the body. `status` is that of the answer. */
typedef int fetch_body_fn(void *ctx, unsigned status, struct str data, struct err *err);

/* One request. The first part is set by the caller, and must stay until it has ended. */
struct fetch {
    const char *url;
    const char *authorization; /* value of the field; NULL: none */
    const char *accept;        /* "Accept: …"; NULL: none */
    const char *post;          /* body of a POST; NULL: a GET */
    const char *const *fields; /* further ones ("Name: value"), NULL-ended; or NULL */
    const char *aws_sigv4;     /* CURLOPT_AWS_SIGV4, with user and password; or NULL */
    const char *user, *password;
    uint64_t from; /* first byte that is wanted */
    fetch_body_fn *on_body;
    void *ctx;

    unsigned status;      /* of the answer; 0: there was none */
    struct buf challenge; /* its WWW-Authenticate fields, joined */
    char redirect[FETCH_URL_MAX];
    struct err err; /* kind 0: the answer is complete, whatever its status */
    bool has_ended;
    void *easy, *list; /* private */
};

must_check int fetcher_new(const struct fetch_rule *rule, struct fetcher **out, struct err *err);
const char *fetcher_plain_http(const struct fetcher *f);
void fetcher_free(struct fetcher *f); /* NULL is fine */

/* ERR_DENIED: not a URL that may be asked. */
must_check int fetch_start(struct fetcher *f, struct fetch *r, struct err *err);
/* Waits until one of those that were started has ended, at most `ms`; NULL: none has. */
struct fetch *fetch_wait(struct fetcher *f, int ms);
/* After its end, and before its memory is used again. */
void fetch_done(struct fetch *r);
/* Start, wait, done: for when there are no others. The status is in r->status. */
must_check int fetch_run(struct fetcher *f, struct fetch *r, struct err *err);

/* Do two URLs have the same scheme, host and port? */
bool fetch_same_origin(const char *a, const char *b);

#endif

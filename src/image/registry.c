/* SPDX-License-Identifier: Apache-2.0 */
/* See registry.h. */
#include "image/registry.h"

#include <stdio.h>

#include "image/challenge.h"
#include "image/cloud.h"
#include "image/oci.h"

enum {
    REFUSALS_MAX = 2, /* of what we were told to send */
    STEPS_MAX = 6,    /* requests for one document: redirections and logins */
    TOKEN_MAX = 64 << 10,
    REGISTRY_MEM_MAX = 8 << 20,
    LOGINS_MAX = 20, /* of one job: tokens expire */
};

struct registry {
    struct fetcher *fetcher;
    const struct image_name *name;
    char host[IMAGE_PATH_MAX + 1];
    char base[IMAGE_PATH_MAX * 2 + 32]; /* "https://host/v2/path" */
    struct cloud_login login;           /* user.len 0: nobody's */
    const char *authorization;          /* the newest; in mem, or NULL */
    unsigned logins;
    struct arena mem;
};

/* Without TLS only where the operator says so; the fetcher checks it again. */
static const char *scheme_of(const struct registry *r, const char *plain)
{
    struct str rest = str_of(plain);

    while (rest.len > 0) {
        struct str row = str_trim(str_cut(rest, ',', &rest));

        if (str_ieq(row, str_of(r->host)))
            return "http";
    }
    return "https";
}

int registry_new(struct fetcher *f, const struct image_name *name, const struct image_login *login,
                 struct registry **out, struct err *err)
{
    struct registry *r = mem_zero(sizeof *r);
    bool is_hub = str_is(name->host, "docker.io");

    r->fetcher = f;
    r->name = name;
    arena_init(&r->mem, REGISTRY_MEM_MAX);
    ignore(snprintf(r->host, sizeof r->host, "%.*s",
                    STR_ARG(is_hub ? STR("registry-1.docker.io") : name->host)));
    ignore(snprintf(r->base, sizeof r->base, "%s://%s/v2/%.*s", scheme_of(r, fetcher_plain_http(f)),
                    r->host, STR_ARG(name->path)));
    if (login != NULL && cloud_login(f, login, &r->mem, &r->login, err) != 0) {
        registry_free(r);
        return -1;
    }
    *out = r;
    return 0;
}

/* The old ones stay: requests that are under way have them. */
static int set_authorization(struct registry *r, const char *scheme, struct str value,
                             struct err *err)
{
    const char *text = arena_printf(&r->mem, "%s %.*s", scheme, STR_ARG(value));

    if (text == NULL)
        return err_set(err, ERR_LIMIT, "the tokens of registry %s are too large", r->host);
    r->authorization = text;
    return 0;
}

void registry_free(struct registry *r)
{
    if (r == NULL)
        return;
    arena_done(&r->mem);
    free(r);
}

static int refused(const struct registry *r, unsigned status, struct err *err)
{
    const struct image_name *n = r->name;

    switch (status) {
    case 401:
        return err_set(err, ERR_DENIED,
                       r->login.user.len > 0
                           ? "registry %s refuses the login for '%.*s'"
                           : "registry %s wants a login for '%.*s' (or has no such image)",
                       r->host, STR_ARG(n->path));
    case 403:
        return err_set(err, ERR_DENIED, "registry %s does not give '%.*s' to us", r->host,
                       STR_ARG(n->path));
    case 404:
        return err_set(err, ERR_NOT_FOUND, "registry %s has no image '%.*s:%.*s'", r->host,
                       STR_ARG(n->path), STR_ARG(n->tag.len > 0 ? n->tag : n->digest));
    case 429:
        return err_set(err, ERR_LIMIT, "registry %s has had too many requests from us", r->host);
    default:
        return err_set(err, ERR_UNAVAILABLE, "registry %s answers with status %u", r->host, status);
    }
}

static void basic(struct registry *r, struct buf *out)
{
    struct buf both;

    buf_init(&both, TOKEN_MAX);
    buf_add_str(&both, r->login.user);
    buf_add_byte(&both, ':');
    buf_add_str(&both, r->login.password);
    base64_encode(out, both.at, both.len);
    explicit_bzero(both.at, both.len);
    buf_done(&both);
}

static int gather(void *ctx, unsigned status, struct str data, struct err *err)
{
    struct buf *out = ctx;

    if (status >= 300)
        return 0; /* the text of an error: nobody reads it */
    buf_add_str(out, data);
    return buf_ok(out) ? 0
                       : err_set(err, ERR_LIMIT, "an answer is larger than %zu bytes", out->max);
}

static void add_escaped(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '~';

        if (is_plain)
            buf_add_byte(out, c);
        else
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
    }
}

static int token_url(struct registry *r, const struct challenge *c, struct buf *out,
                     struct err *err)
{
    buf_add_str(out, c->realm);
    buf_add_byte(out, str_find(c->realm, '?') >= 0 ? '&' : '?');
    if (c->service.len > 0) {
        buf_add_text(out, "service=");
        add_escaped(out, c->service);
        buf_add_byte(out, '&');
    }
    buf_add_text(out, "scope=repository%3A");
    add_escaped(out, r->name->path);
    buf_add_text(out, "%3Apull");
    buf_add_byte(out, '\0');
    return buf_ok(out) ? 0 : err_set(err, ERR_INVALID, "the realm of %s is too long", r->host);
}

struct token_answer {
    struct str token, access_token;
};

static const struct codec_field token_fields[] = {
    {1, "token",       CODEC_STRING, 0, offsetof(struct token_answer, token)       },
    {2, "accessToken", CODEC_STRING, 0, offsetof(struct token_answer, access_token)},
};
static const struct codec_message token_message = {NULL, sizeof(struct token_answer), token_fields,
                                                   COUNT_OF(token_fields)};

static int read_token(struct registry *r, struct str text, struct err *err)
{
    struct token_answer answer = {0};
    struct arena mem;
    int result;

    arena_init(&mem, 4 * TOKEN_MAX);
    result = json_decode(&token_message, text, &mem, &answer, err);
    if (answer.token.len == 0)
        answer.token = answer.access_token;
    for (size_t i = 0; i < answer.token.len && result == 0; i++) {
        if (answer.token.at[i] <= ' ' || answer.token.at[i] == 0x7f)
            result = err_set(err, ERR_INVALID, "bad bytes");
    }
    if (result == 0 && answer.token.len == 0)
        result = err_set(err, ERR_INVALID, "there is none");
    if (result == 0)
        result = set_authorization(r, "Bearer", answer.token, err);
    arena_done(&mem);
    return result == 0 ? 0 : err_wrap(err, "token for registry %s", r->host);
}

static int ask_token(struct registry *r, const struct challenge *c, struct err *err)
{
    struct buf url, body, login;
    struct fetch f = {.on_body = gather, .ctx = &body};
    char *field = NULL;
    int result;

    buf_init(&url, FETCH_URL_MAX);
    buf_init(&body, TOKEN_MAX);
    buf_init(&login, TOKEN_MAX * 2);
    result = token_url(r, c, &url, err);
    if (r->login.user.len > 0) {
        buf_add_text(&login, "Basic ");
        basic(r, &login);
        buf_add_byte(&login, '\0');
        field = login.at;
    }
    f.url = url.at;
    f.authorization = field;
    if (result == 0)
        result = fetch_run(r->fetcher, &f, err) == 0
                     ? 0
                     : err_wrap(err, "token for registry %s", r->host);
    if (result == 0 && f.status != 200)
        result = refused(r, f.status == 400 ? 401 : f.status, err);
    if (result == 0)
        result = read_token(r, buf_str(&body), err);
    fetch_done(&f);
    if (field != NULL)
        explicit_bzero(login.at, login.len);
    buf_done(&url);
    buf_done(&body);
    buf_done(&login);
    return result;
}

/* It answered 401 with these challenges: do what it wants. */
static int log_in(struct registry *r, struct str field, struct err *err)
{
    struct challenge c;
    struct buf login;
    int result;

    if (++r->logins > LOGINS_MAX)
        return refused(r, 401, err);
    challenge_read(field, &r->mem, &c);
    if (c.scheme == CHALLENGE_BEARER)
        return ask_token(r, &c, err);
    if (c.scheme == CHALLENGE_NONE || r->login.user.len == 0)
        return refused(r, 401, err);
    buf_init(&login, TOKEN_MAX * 2);
    basic(r, &login);
    result = set_authorization(r, "Basic", buf_str(&login), err);
    buf_done(&login);
    return result;
}

enum registry_step registry_next(struct registry *r, struct fetch *f, char url[FETCH_URL_MAX],
                                 unsigned *tries, struct err *err)
{
    if (f->err.kind != ERR_NONE) {
        *err = f->err;
        err_wrap(err, "registry %s", r->host);
        return REGISTRY_FAILED;
    }
    if (f->status == 200 || f->status == 206)
        return REGISTRY_DONE;
    if (++*tries >= STEPS_MAX) {
        err_set(err, ERR_UNAVAILABLE, "registry %s leads us in circles", r->host);
        return REGISTRY_FAILED;
    }
    if (f->status == 401 && fetch_same_origin(url, r->base)) {
        bool is_newest = f->authorization == r->authorization;

        if (is_newest && *tries > REFUSALS_MAX)
            ignore(refused(r, 401, err));
        if (is_newest && (*tries > REFUSALS_MAX || log_in(r, buf_str(&f->challenge), err) != 0))
            return REGISTRY_FAILED;
        f->authorization = r->authorization;
        return REGISTRY_AGAIN;
    }
    if (f->status >= 300 && f->status < 400 && f->redirect[0] != '\0') {
        if (!fetch_same_origin(url, f->redirect))
            f->authorization = NULL;
        memcpy(url, f->redirect, sizeof f->redirect);
        f->url = url;
        return REGISTRY_AGAIN;
    }
    ignore(refused(r, f->status, err));
    return REGISTRY_FAILED;
}

static int get(struct registry *r, const char *accept, char url[FETCH_URL_MAX], struct buf *out,
               struct err *err)
{
    enum registry_step step = REGISTRY_AGAIN;
    unsigned tries = 0;
    struct fetch f = {.url = url,
                      .authorization = r->authorization,
                      .accept = accept,
                      .on_body = gather,
                      .ctx = out};

    while (step == REGISTRY_AGAIN) {
        buf_clear(out);
        if (fetch_run(r->fetcher, &f, err) != 0) {
            fetch_done(&f);
            return err_wrap(err, "registry %s", r->host);
        }
        step = registry_next(r, &f, url, &tries, err);
        fetch_done(&f);
    }
    return step == REGISTRY_DONE ? 0 : -1;
}

int registry_manifest(struct registry *r, struct str reference, struct buf *out, struct err *err)
{
    char *url = mem_zero(FETCH_URL_MAX);
    int result;

    ignore(snprintf(url, FETCH_URL_MAX, "%s/manifests/%.*s", r->base, STR_ARG(reference)));
    result = get(r, oci_accept, url, out, err);
    free(url);
    return result;
}

static void blob_url(const struct registry *r, const struct digest *id, char url[FETCH_URL_MAX])
{
    char text[IMAGE_DIGEST_LEN + 1];

    digest_text(id, text);
    ignore(snprintf(url, FETCH_URL_MAX, "%s/blobs/%s", r->base, text));
}

int registry_document(struct registry *r, const struct digest *id, struct buf *out, struct err *err)
{
    char *url = mem_zero(FETCH_URL_MAX);
    int result;

    blob_url(r, id, url);
    result = get(r, NULL, url, out, err);
    free(url);
    return result;
}

void registry_blob(struct registry *r, const struct digest *id, struct fetch *f,
                   char url[FETCH_URL_MAX])
{
    blob_url(r, id, url);
    f->url = url;
    f->authorization = r->authorization;
}

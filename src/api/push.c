/* SPDX-License-Identifier: Apache-2.0 */
/* Who may push an image, manifests and tags; see push.h. Called by the gate.
 *
 * A repository is PREFIX/TEMPLATE, its only tag the build's id (CT-21). Nothing is found here but
 * what was pushed for the build whose credentials are shown. */
#include "api/push.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/errors.h"
#include "api/template_json.h"
#include "base/clock.h"
#include "base/digest.h"

enum {
    TEXT_MAX = 1024,
    CREDENTIALS_MAX = 512, /* as they are encoded */
};

static const char realm[] = "Basic realm=\"sandlot\"";
static const struct http_field version = {STR("Docker-Distribution-Api-Version"),
                                          STR("registry/2.0")};

static void send_refusal(struct call *c, unsigned status, const char *code, struct str text)
{
    struct http_field fields[2] = {version};
    size_t count = 1;
    struct buf body;

    if (status == 401)
        fields[count++] = (struct http_field){STR("WWW-Authenticate"), str_of(realm)};
    else if (status == 429)
        fields[count++] = (struct http_field){STR("Retry-After"), STR("1")};
    buf_init(&body, 8 * TEXT_MAX);
    buf_printf(&body, "{\"errors\":[{\"code\":\"%s\",\"message\":", code);
    json_quote(&body, text);
    buf_add_text(&body, "}]}");
    call_reply_fields(c, status, buf_str(&body), fields, count);
    buf_done(&body);
}

void push_refuse(struct call *c, unsigned status, const char *code, const char *format, ...)
{
    struct buf text;
    va_list args;

    buf_init(&text, TEXT_MAX);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    send_refusal(c, status, code, buf_str(&text));
    buf_done(&text);
}

void push_fail(struct call *c, const char *code, const struct err *err)
{
    push_refuse(c, error_status(err->kind), code, "%s", err->text);
}

void push_reply(struct call *c, const struct push_reply *r)
{
    struct http_field fields[CALL_FIELDS_MAX] = {version};
    const struct http_field more[] = {
        {STR("Location"),              r->location},
        {STR("Docker-Content-Digest"), r->digest  },
        {STR("Range"),                 r->range   },
        {STR("Docker-Upload-UUID"),    r->upload  },
    };
    size_t count = 1;

    for (size_t i = 0; i < COUNT_OF(more) && count < CALL_FIELDS_MAX; i++)
        if (more[i].value.len > 0)
            fields[count++] = more[i];
    call_reply_fields(c, r->status, (struct str){0}, fields, count);
}

struct str push_location(const struct call *c, const char *rest, struct str id)
{
    struct str prefix = call_param(c, 0), name = call_param(c, 1);

    return str_of(arena_printf(exchange_arena(c->x), "/v2/%.*s/%.*s/%s/%.*s", STR_ARG(prefix),
                               STR_ARG(name), rest, STR_ARG(id)));
}

/* Credentials */

static bool read_basic(struct str field, uint8_t *space, struct str *out_user,
                       struct str *out_password)
{
    struct str rest;
    struct str scheme = str_cut(field, ' ', &rest);
    ssize_t len;

    rest = str_trim(rest);
    if (!str_ieq(scheme, STR("basic")) || rest.len == 0 || rest.len > CREDENTIALS_MAX)
        return false;
    len = base64_decode(rest, space);
    if (len < 0)
        return false;
    *out_user = str_cut((struct str){(const char *)space, (size_t)len}, ':', out_password);
    return true;
}

/* One answer for all that can be wrong with them (CT-33). */
int push_authenticate(struct call *c)
{
    struct str field = http_field(exchange_head(c->x), "authorization"), user, password;
    uint8_t space[CREDENTIALS_MAX];
    struct build *b = NULL;

    if (field.at != NULL) {
        if (read_basic(field, space, &user, &password))
            b = build_push_check(c->api->domain, user, password);
        explicit_bzero(space, sizeof(space));
        if (b == NULL)
            gate_charge_guess(c);
    }
    if (b == NULL) {
        push_refuse(c, 401, "UNAUTHORIZED", "authentication required");
        return -1;
    }
    ignore(str_to_c(b->r.id, c->build_id, sizeof(c->build_id)));
    c->team = b->template->team;
    ignore(snprintf(c->actor, sizeof(c->actor), "push:%s", c->build_id));
    return gate_check_rate(c, &b->push_rate, c->api->config.key_rate_per_s);
}

struct build *push_build(struct call *c)
{
    struct build *b = build_find(c->api->domain, str_of(c->build_id));

    if (b == NULL || !build_push_is_open(b))
        push_refuse(c, 404, "NAME_UNKNOWN", "nothing can be pushed for this build any more");
    else if (!str_is(call_param(c, 0), c->api->config.push_prefix) ||
             !str_eq(call_param(c, 1), b->template->r.id))
        push_refuse(c, 403, "DENIED", "these credentials are for another repository");
    else
        return b;
    return NULL;
}

/* GET /v2/: clients ask it for what they have to show. */
void push_ping_get(struct call *c)
{
    call_reply_fields(c, 200, STR("{}"), &version, 1);
}

/* What is about no repository: the catalog. */
void push_denied_get(struct call *c)
{
    push_refuse(c, 403, "DENIED", "these credentials are for one repository");
}

/* POST /templates/:id/builds/:build/push: credentials for an image to push */

struct granted {
    struct call *call;
    struct push_grant grant;
};

static void put_grant(const struct call *c, const struct build *b, const struct push_grant *g,
                      struct buf *out)
{
    const char *host = c->api->config.push_host, *prefix = c->api->config.push_prefix;
    struct str registry =
        host != NULL && host[0] != '\0' ? str_of(host) : http_field(exchange_head(c->x), "Host");
    char until[RFC3339_MAX];

    rfc3339_format_ms(g->until_ms, until);
    buf_printf(out,
               "{\"image\":\"%.*s/%s/%.*s:%.*s\",\"registry\":\"%.*s\",\"repository\":\"%s/%.*s\","
               "\"tag\":\"%.*s\",\"username\":\"%s\",\"password\":\"%s\",\"expiresAt\":\"%s\"}",
               STR_ARG(registry), prefix, STR_ARG(b->template->r.id), STR_ARG(b->r.id),
               STR_ARG(registry), prefix, STR_ARG(b->template->r.id), STR_ARG(b->r.id), g->user,
               g->password, until);
}

static void on_granted(void *ctx, const struct team_template *t, const struct build *b,
                       const struct err *err)
{
    struct granted *g = ctx;
    struct call *c = g->call;
    struct buf json;

    ignore(t == NULL);
    buf_init(&json, REPLY_MAX);
    if (err != NULL) {
        template_fail(c, err);
    } else if (b == NULL || c->x == NULL) {
        call_error(c, 404, NULL, "the build was removed meanwhile");
    } else {
        put_grant(c, b, &g->grant, &json);
        call_reply_text(c, 201, buf_str(&json));
    }
    if (json.at != NULL)
        explicit_bzero(json.at, json.len);
    buf_done(&json);
    explicit_bzero(g, sizeof(*g));
    free(g);
}

void push_grant_post(struct call *c)
{
    struct build *b = template_build_of(c);
    struct err err = {0};
    struct granted *g;

    if (b == NULL)
        return;
    if (c->api->config.pushes_dir == NULL) {
        call_error(c, 501, NULL, "this installation takes no pushed images");
        return;
    }
    g = mem_zero(sizeof(*g));
    g->call = c;
    if (build_push_grant(c->api->domain, b, &g->grant, on_granted, g, &err) != 0) {
        free(g);
        template_fail(c, &err);
    }
}

/* Manifests */

struct pushed {
    struct call *call;
    char digest[PUSH_DIGEST_LEN + 1];
};

static void answer_manifest(struct call *c, const char *digest)
{
    struct str text = c->x == NULL ? (struct str){0} : call_param(c, 2);

    push_reply(c, &(struct push_reply){
                      .status = 201,
                      .location = c->x == NULL ? text : push_location(c, "manifests", text),
                      .digest = str_of(digest),
                  });
}

static void on_marked(void *ctx, const struct team_template *t, const struct build *b,
                      const struct err *err)
{
    struct pushed *p = ctx;

    ignore(t == NULL && b == NULL);
    if (err != NULL)
        push_fail(p->call, "UNKNOWN", err);
    else
        answer_manifest(p->call, p->digest);
    free(p);
}

static void refuse_manifest(struct call *c, const struct err *err)
{
    if (err->kind == ERR_NOT_FOUND)
        push_fail(c, "MANIFEST_BLOB_UNKNOWN", err);
    else
        push_fail(c, err->kind == ERR_INVALID ? "MANIFEST_INVALID" : "UNKNOWN", err);
}

static bool is_digest_of(struct str reference, struct str body)
{
    char hex[2 * SHA256_SIZE + 1];
    uint8_t found[SHA256_SIZE];

    sha256_of(body, found);
    hex_encode(found, sizeof(found), hex);
    return push_digest_is_good(reference) && str_is(str_from(reference, 7), hex);
}

/* PUT /v2/…/manifests/:reference. Under the tag it is what the build begins with, once that is
 * durable (CT-19, CT-35); under a digest it is a part of an index. */
void push_manifest_store(struct call *c)
{
    struct build *b = push_build(c);
    struct str reference, body;
    bool is_tag;
    struct err err = {0};
    struct pushed *p;

    if (b == NULL)
        return;
    reference = call_param(c, 2);
    body = exchange_body(c->x);
    is_tag = str_eq(reference, b->r.id);
    if (!is_tag && str_find(reference, ':') < 0) {
        push_refuse(c, 403, "DENIED", "the tag must be '%.*s', the build's id", STR_ARG(b->r.id));
        return;
    }
    if (!is_tag && !is_digest_of(reference, body)) {
        push_refuse(c, 400, "DIGEST_INVALID", "the manifest does not have that digest");
        return;
    }
    p = mem_zero(sizeof(*p));
    p->call = c;
    if (push_manifest_put(c->api->pushes, b->r.id, body, is_tag ? b->r.id : (struct str){0},
                          p->digest, &err) != 0 ||
        (is_tag &&
         build_push_mark(c->api->domain, b, str_of(p->digest), on_marked, p, &err) != 0)) {
        free(p);
        refuse_manifest(c, &err);
        return;
    }
    if (!is_tag) {
        answer_manifest(c, p->digest);
        free(p);
    }
}

void push_tags_get(struct call *c)
{
    const struct build *b = push_build(c);
    struct buf json;

    if (b == NULL)
        return;
    buf_init(&json, TEXT_MAX);
    buf_printf(&json, "{\"name\":\"%s/%.*s\",\"tags\":[", c->api->config.push_prefix,
               STR_ARG(b->template->r.id));
    if (b->r.pushed.len > 0)
        buf_printf(&json, "\"%.*s\"", STR_ARG(b->r.id));
    buf_add_text(&json, "]}");
    call_reply_fields(c, 200, buf_str(&json), &version, 1);
    buf_done(&json);
}

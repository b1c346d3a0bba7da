/* SPDX-License-Identifier: Apache-2.0 */
/* Files for COPY steps: a link to upload them, and the upload itself, which carries a signature
 * instead of a key (CT-07 to CT-10). Called by the gate.
 *
 * The signature binds team, template, hash, size and time. The body goes to the disk as it comes:
 * a slow disk slows the client. */
#include <stdio.h>

#include "api/errors.h"
#include "api/template_json.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/id.h"
#include "build/upload_store.h"

enum {
    LINK_S = 30 * 60, /* how long a link is good */
    SIGNATURE_LEN = 2 * SHA256_SIZE,
    WORDS_MAX = 400,
    AT_ONCE_MAX = 64, /* uploads of all teams */
};

struct upload {
    struct call *call;
    struct upload_file file;
    uint64_t max;
};

/* What is signed; the names have no line ends in them. */
struct link {
    struct str team_id, template_id, hash;
    uint64_t expires_s;
};

static void sign(const struct call *c, const struct link *l, char out[SIGNATURE_LEN + 1])
{
    uint8_t digest[SHA256_SIZE];
    struct buf words;

    buf_init(&words, WORDS_MAX);
    buf_printf(&words, "%.*s\n%.*s\n%.*s\n%llu", STR_ARG(l->team_id), STR_ARG(l->template_id),
               STR_ARG(l->hash), (unsigned long long)l->expires_s);
    hmac_sha256(build_upload_key(c->api->domain), buf_str(&words), digest);
    buf_done(&words);
    hex_encode(digest, sizeof(digest), out);
}

static void put_link(const struct call *c, const struct link *l, struct buf *out)
{
    const struct http_head *h = exchange_head(c->x);
    struct str scheme = http_field(h, "X-Forwarded-Proto"); /* edge's, or of a proxy before it */
    char signature[SIGNATURE_LEN + 1];

    sign(c, l, signature);
    buf_printf(out, "%s://%.*s/templates/%.*s/files/%.*s?team=%.*s&expires=%llu&signature=%s",
               str_is(scheme, "https") ? "https" : "http", STR_ARG(http_field(h, "Host")),
               STR_ARG(l->template_id), STR_ARG(l->hash), STR_ARG(l->team_id),
               (unsigned long long)l->expires_s, signature);
}

/* GET /templates/:id/files/:hash is answered with 201, as the reference does: its clients want
 * exactly that (CT-07). The link is there always, so that a client may replace what we have. */
void upload_link_get(struct call *c)
{
    struct str hash = call_param(c, 1);
    struct err err = {0};
    const struct team_template *t;
    struct buf json, url;

    if (!build_hash_is_good(hash)) {
        call_error(c, 400, NULL, "the hash of files must be 64 hex digits in lower case");
        return;
    }
    t = team_template_require(c->api->domain, c->team, call_param(c, 0), &err);
    if (t == NULL) {
        template_fail(c, &err);
        return;
    }
    buf_init(&json, REPLY_MAX);
    buf_init(&url, REPLY_MAX);
    put_link(
        c, &(struct link){t->r.team_id, t->r.id, hash, (uint64_t)(clock_wall_ms() / 1000) + LINK_S},
        &url);
    buf_printf(
        &json, "{\"present\":%s,\"url\":",
        upload_is_there(&(struct upload_name){c->api->config.uploads_dir, t->r.team_id, hash})
            ? "true"
            : "false");
    json_quote(&json, buf_str(&url));
    buf_add_byte(&json, '}');
    call_reply_text(c, 201, buf_str(&json));
    buf_done(&url);
    buf_done(&json);
}

static void upload_free(struct upload *u)
{
    upload_discard(&u->file);
    u->call->api->upload_count--;
    free(u);
}

static void on_gone(void *ctx, struct exchange *x)
{
    struct upload *u = ctx;
    struct call *c = u->call;

    ignore((long)(x == c->x));
    upload_free(u);
    c->x = NULL;
    call_reply_empty(c, 499);
}

static void give_up(struct upload *u, const struct err *err)
{
    struct call *c = u->call;
    struct err why = *err;

    upload_free(u);
    call_fail(c, &why);
}

static size_t on_data(void *ctx, struct exchange *x, struct str data, bool is_last)
{
    struct upload *u = ctx;
    struct call *c = u->call;
    struct err err = {0};

    ignore((long)(x == c->x));
    if (u->file.size + data.len > u->max) {
        uint64_t max = u->max;

        upload_free(u);
        call_error(c, 413, NULL, "an upload has at most %llu bytes", (unsigned long long)max);
        return 0;
    }
    if (!is_last && upload_write(&u->file, data, &err) == 0)
        return data.len;
    if (is_last && upload_end(&u->file, &err) == 0) {
        upload_free(u);
        call_reply_empty(c, 200);
        return 0;
    }
    give_up(u, &err);
    return 0;
}

static int check_link(struct call *c, struct link *l)
{
    const struct team_template *t = team_template_find(c->api->domain, call_param(c, 0));
    char signature[SIGNATURE_LEN + 1];

    *l = (struct link){call_query(c, "team"), call_param(c, 0), call_param(c, 1), 0};
    if (!str_to_u64(call_query(c, "expires"), &l->expires_s) || !build_hash_is_good(l->hash) ||
        l->team_id.len > UUID_LEN || l->template_id.len > UUID_LEN) {
        call_error(c, 400, NULL, "this is not an upload link");
        return -1;
    }
    sign(c, l, signature);
    if (!str_eq_secret(call_query(c, "signature"), str_of(signature))) {
        call_error(c, 403, NULL, "the signature of this upload link is wrong");
        return -1;
    }
    if (l->expires_s < (uint64_t)(clock_wall_ms() / 1000)) {
        call_error(c, 403, NULL, "this upload link has expired");
        return -1;
    }
    if (t == NULL || !str_eq(t->r.team_id, l->team_id)) {
        call_error(c, 404, NULL, "the template of this upload link is gone");
        return -1;
    }
    return 0;
}

void upload_put(struct call *c)
{
    const struct http_head *h = exchange_head(c->x);
    uint64_t max = c->api->config.upload_max;
    struct err err = {0};
    struct upload *u;
    struct link l;

    if (check_link(c, &l) != 0)
        return;
    if (h->framing == HTTP_LENGTH && h->body_length > max) {
        call_error(c, 413, NULL, "an upload has at most %llu bytes", (unsigned long long)max);
        return;
    }
    if (c->api->upload_count >= AT_ONCE_MAX) {
        call_error(c, 429, NULL, "too many uploads at once");
        return;
    }
    upload_sweep(c->api->config.uploads_dir);
    u = mem_zero(sizeof(*u));
    *u = (struct upload){.call = c, .max = max};
    c->api->upload_count++;
    if (upload_begin(&u->file, &(struct upload_name){c->api->config.uploads_dir, l.team_id, l.hash},
                     &err) != 0) {
        give_up(u, &err);
        return;
    }
    exchange_on_gone(c->x, on_gone, u);
    exchange_on_body(c->x, on_data, u);
}

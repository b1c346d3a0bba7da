/* SPDX-License-Identifier: Apache-2.0 */
/* Who may touch which path through /files (wire.md 3.9 to 3.12). */
#include "envd/files.h"

#include "base/clock.h"
#include "envd/answer.h"
#include "envd/guest.h"
#include "envd/paths.h"
#include "envd/signature.h"

bool files_parameter(struct exchange *x, const char *name, struct str *out)
{
    struct str raw = url_query(exchange_head(x)->query, name);
    char *text;
    ssize_t len;

    *out = (struct str){NULL, 0};
    if (raw.at == NULL)
        return true;
    text = arena_alloc(exchange_arena(x), raw.len + 1);
    len = text == NULL ? -1 : url_decode(raw, true, text);
    if (len < 0)
        return false;
    *out = (struct str){text, (size_t)len};
    return true;
}

bool files_is_type(struct str value, const char *type)
{
    struct str rest;

    return str_ieq(str_trim(str_cut(value, ';', &rest)), str_of(type));
}

/* NULL: may pass. */
static const char *refusal(const struct guest *g, struct exchange *x,
                           const struct signature_input *in, struct str signature)
{
    struct str given = http_field(exchange_head(x), "X-Access-Token");

    if (g->config.access_token.len == 0)
        return NULL;
    if (given.at != NULL)
        return str_eq_secret(given, g->config.access_token)
                   ? NULL
                   : "access token present in header but does not match";
    return signature_check(signature, in, clock_wall_ms() / 1000);
}

bool files_begin(struct guest *g, struct exchange *x, const char *operation,
                 struct files_request *out)
{
    struct signature_input in = {.operation = operation, .token = g->config.access_token};
    struct str signature;
    const char *why;
    struct err err;

    if (!files_parameter(x, "path", &in.path) || !files_parameter(x, "username", &in.user) ||
        !files_parameter(x, "signature", &signature) ||
        !files_parameter(x, "signature_expiration", &in.expiration)) {
        answer_error(x, 400, "malformed query");
        return false;
    }
    why = refusal(g, x, &in, signature);
    if (why != NULL) {
        answer_error(x, 401, "%s", why);
        return false;
    }
    if (guest_user(g, in.user, exchange_arena(x), &out->user, &err) != 0) {
        answer_failure(x, &err);
        return false;
    }
    out->path = in.path;
    return true;
}

void files_put_entry(struct buf *out, struct str path, const struct codec_list *metadata)
{
    const struct codec_pair *pairs = metadata->items;

    buf_add_text(out, "{\"path\":");
    json_quote(out, path);
    buf_add_text(out, ",\"name\":");
    json_quote(out, path_base(path));
    buf_add_text(out, ",\"type\":\"file\"");
    for (size_t i = 0; i < metadata->count; i++) {
        buf_add_text(out, i == 0 ? ",\"metadata\":{" : ",");
        json_quote(out, pairs[i].key);
        buf_add_byte(out, ':');
        json_quote(out, pairs[i].value);
    }
    buf_add_text(out, metadata->count > 0 ? "}}" : "}");
}

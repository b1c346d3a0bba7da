/* SPDX-License-Identifier: Apache-2.0 */
/* Builds envd's first request. Called by sandbox_create.c. */
#include "domain/guest_init.h"

#include "base/digest.h"
#include "base/id.h"
#include "domain/authority.h"

enum {
    ENTROPY_SIZE = 32,
};

static void put_member(struct buf *out, const char *name, struct str value)
{
    buf_printf(out, ",\"%s\":", name);
    json_quote(out, value);
}

static bool is_named(const struct codec_list *pairs, struct str key)
{
    const struct codec_pair *p = pairs->items;

    for (size_t i = 0; i < pairs->count; i++)
        if (str_eq(p[i].key, key))
            return true;
    return false;
}

/* Those that make programs believe the sandbox's authority, as far as nobody set them. */
static void put_authority_env(struct buf *out, const struct codec_list *own,
                              const struct codec_list *base, const char *comma)
{
    for (const struct authority_variable *v = authority_variables; v->name != NULL; v++) {
        if (is_named(own, str_of(v->name)) || is_named(base, str_of(v->name)))
            continue;
        buf_printf(out, "%s\"%s\":\"%s\"", comma, v->name, v->file);
        comma = ",";
    }
}

static void put_env(struct buf *out, const struct sandbox_record *r, const struct codec_list *base)
{
    const struct codec_list *own = &r->env;
    const struct codec_pair *p = own->items, *b = base->items;
    const char *comma = "";

    buf_add_text(out, ",\"envVars\":{");
    for (size_t i = 0; i < own->count + base->count; i++) {
        const struct codec_pair *pair = i < own->count ? &p[i] : &b[i - own->count];

        if (i >= own->count && is_named(own, pair->key))
            continue;
        buf_add_text(out, comma);
        json_quote(out, pair->key);
        buf_add_byte(out, ':');
        json_quote(out, pair->value);
        comma = ",";
    }
    if (r->authority != NULL)
        put_authority_env(out, own, base, comma);
    buf_add_byte(out, '}');
}

int guest_init_check_env(const struct codec_list *own, const struct codec_list *base,
                         struct err *err)
{
    const struct codec_pair *p = own->items;

    if (own->count + base->count > GUEST_ENV_MAX)
        return err_set(err, ERR_INVALID,
                       "envVars can have at most %d entries, those of the template included",
                       GUEST_ENV_MAX);
    for (size_t i = 0; i < own->count; i++)
        if (p[i].key.len == 0 || str_find(p[i].key, '=') >= 0 || str_find(p[i].key, '\0') >= 0 ||
            str_find(p[i].value, '\0') >= 0)
            return err_set(err, ERR_INVALID, "envVars: '%.*s' cannot be an environment variable",
                           STR_ARG(str_upto(p[i].key, 64)));
    return 0;
}

/* Without a timestamp: envd disregards what is older than what it knows, and after the clock was
 * set back that were the token and variables of a fork or a resume. One connection has them in
 * order. */
void guest_init_json(const struct sandbox_record *r, const struct codec_list *template_env,
                     uint64_t replay_kb, struct buf *out)
{
    uint8_t entropy[ENTROPY_SIZE];

    id_random(entropy, sizeof(entropy));
    buf_add_text(out, "{\"sandboxId\":");
    json_quote(out, r->id);
    put_member(out, "templateId", r->template_id);
    put_env(out, r, template_env);
    if (r->is_secure)
        put_member(out, "accessToken", r->access_token);
    put_member(out, "controlToken", r->control_token);
    put_member(out, "defaultUser", r->user);
    put_member(out, "defaultWorkdir", r->workdir);
    put_member(out, "hostname", r->id);
    if (replay_kb > 0)
        buf_printf(out, ",\"replayBytes\":%llu", (unsigned long long)replay_kb << 10);
    buf_add_text(out, ",\"entropy\":\"");
    base64_encode(out, entropy, sizeof(entropy));
    buf_add_text(out, "\"}");
}

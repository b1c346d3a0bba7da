/* SPDX-License-Identifier: Apache-2.0 */
/* See worker_internal.h: how a sandbox's envd is reached and asked. */
#include <stdio.h>

#include "base/digest.h"
#include "worker/worker_internal.h"

enum { ENVD_PORT = 49983 };

/* By its host name where the API tells a domain and speaks TLS; else by header. */
static const struct address *address_of(struct job *j)
{
    const struct settings *s = &j->worker->settings;
    const char *domain = j->box->domain[0] != '\0' ? j->box->domain : s->domain;
    struct address *own;
    char host[2 * ADDRESS_HOST_MAX]; /* one that is too long is refused */

    if (s->has_sandbox_url || domain[0] == '\0')
        return &s->sandbox_url;
    own = arena_alloc(&j->arena, sizeof(*own));
    if (own == NULL)
        return &s->sandbox_url;
    *own = s->api_base;
    own->path[0] = '\0';
    ignore(snprintf(host, sizeof(host), "%d-%s.%s", ENVD_PORT, j->box->id, domain));
    return address_set_host(own, str_of(host)) ? own : &s->sandbox_url;
}

static struct str authorization(struct job *j, const char *user)
{
    struct buf plain, text;
    struct str own;

    buf_init(&plain, 256);
    buf_init(&text, 512);
    buf_printf(&plain, "%s:", user);
    buf_add_text(&text, "Basic ");
    base64_encode(&text, plain.at, plain.len);
    own = arena_str(&j->arena, buf_str(&text));
    buf_done(&plain);
    buf_done(&text);
    return own;
}

struct upstream_ask guest_ask(struct job *j, const char *method, const char *target)
{
    const struct settings *s = &j->worker->settings;
    struct upstream_ask ask = {
        .to = address_of(j),
        .method = method,
        .target = target,
        .fields = {{STR("E2b-Sandbox-Id"), str_of(j->box->id)},
                   {STR("E2b-Sandbox-Port"), STR("49983")},
                   {STR("User-Agent"), STR("iii-sandbox-e2b/0.1")}},
        .field_count = 3,
        .timeout_ms = s->request_timeout_ms,
    };

    if (j->box->token[0] != '\0')
        ask.fields[ask.field_count++] =
            (struct http_field){STR("X-Access-Token"), str_of(j->box->token)};
    if (s->user[0] != '\0')
        ask.fields[ask.field_count++] =
            (struct http_field){STR("Authorization"), authorization(j, s->user)};
    return ask;
}

static char *put_encoded(char *to, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.at[i];

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            (c != '\0' && strchr("-_.~/", c) != NULL)) {
            *to++ = (char)c;
            continue;
        }
        *to++ = '%';
        *to++ = digits[c >> 4];
        *to++ = digits[c & 15];
    }
    return to;
}

char *guest_file_target(struct job *j, const char *before, struct str path)
{
    static const char username[] = "&username=", path_is[] = "?path=";
    struct str user = str_of(j->worker->settings.user);
    size_t size = strlen(before) + sizeof(path_is) + sizeof(username) + 3 * (path.len + user.len);
    char *text = arena_alloc(&j->arena, size + 1), *to = text;

    if (text == NULL)
        return NULL;
    to = stpcpy(stpcpy(to, before), path_is);
    to = put_encoded(to, path);
    if (user.len > 0)
        to = put_encoded(stpcpy(to, username), user);
    *to = '\0';
    return text;
}

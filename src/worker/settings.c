/* SPDX-License-Identifier: Apache-2.0 */
/* See settings.h. */
#include "worker/settings.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "worker/yaml.h"

enum { ARENA_MAX = 1 << 20 };

static const char allowlist_key[] = "image_allowlist";

/* clang-format off */
static const struct config_key keys[] = {
    {"mode", CONFIG_CHOICE, offsetof(struct settings, mode), "provider", 0, 0, "provider|router|local",
     "functions on an E2B-compatible API; the one door to all providers; the reference daemon's"},
    {"provider", CONFIG_TEXT, offsetof(struct settings, provider), "e2b", 0, 0, NULL,
     "its name as a provider: sandbox::provider::NAME::create"},
    {"worker_name", CONFIG_TEXT, offsetof(struct settings, worker_name), "", 0, 0, NULL,
     "its name to the engine; empty: III_WORKER_NAME, else sandbox-PROVIDER"},
    {"api_base", CONFIG_TEXT, offsetof(struct settings, api_base_text), "https://api.e2b.dev", 0, 0, NULL,
     "the API: http[s]://HOST[:PORT]"},
    {"api_key_env", CONFIG_TEXT, offsetof(struct settings, api_key_env), "E2B_API_KEY", 0, 0, NULL,
     "name of the environment variable that holds the API's key"},
    {"sandbox_url", CONFIG_TEXT, offsetof(struct settings, sandbox_url_text), "", 0, 0, NULL,
     "where sandboxes are reached by header; empty: host names, or with plain http api_base"},
    {"domain", CONFIG_TEXT, offsetof(struct settings, domain), "", 0, 0, NULL,
     "domain of sandboxes' host names, where the API tells none"},
    {"port_paths", CONFIG_BOOL, offsetof(struct settings, has_port_paths), "false", 0, 0, NULL,
     "without a domain expose_port names a path, /sandbox/ID/PORT/ (edge.paths of Sandlot)"},
    {"ca_file", CONFIG_TEXT, offsetof(struct settings, ca_file), "", 0, 0, NULL,
     "authorities to believe, PEM; empty: this machine's"},
    {"user", CONFIG_TEXT, offsetof(struct settings, user), "", 0, 0, NULL,
     "who commands and files belong to in sandboxes; empty: the template's user"},
    {"max_concurrent_sandboxes", CONFIG_NUMBER, offsetof(struct settings, sandboxes_max), "10", 1, 100000, NULL,
     "sandboxes of this worker at once"},
    {"default_idle_timeout_secs", CONFIG_NUMBER, offsetof(struct settings, idle_timeout_s), "300", 1, 86400, NULL,
     "seconds a sandbox lives when the caller names none"},
    {"request_timeout_ms", CONFIG_NUMBER, offsetof(struct settings, request_timeout_ms), "30000", 100, 600000, NULL,
     "milliseconds for each request to the API"},
    {"default_exec_timeout_ms", CONFIG_NUMBER, offsetof(struct settings, exec_timeout_ms), "300000", 1, 86400000, NULL,
     "milliseconds a command may take when the caller names none"},
    {"max_exec_timeout_ms", CONFIG_NUMBER, offsetof(struct settings, exec_timeout_max_ms), "3600000", 1, 86400000, NULL,
     "the most that a caller may name"},
    {"max_concurrent_exec_per_sandbox", CONFIG_NUMBER, offsetof(struct settings, execs_max), "4", 0, 1000, NULL,
     "commands at once in one sandbox, in local mode; 0 is 1"},
    {"error_format", CONFIG_CHOICE, offsetof(struct settings, error_format), "bracket", 0, 0, "bracket|json",
     "how the message of an error begins: [S100] text, or a JSON object; local mode: always JSON"},
    {"legacy_ids", CONFIG_BOOL, offsetof(struct settings, has_legacy_ids), "false", 0, 0, NULL,
     "register sandbox::PROVIDER::create and so on, too"},
    {"bare_ids", CONFIG_BOOL, offsetof(struct settings, has_bare_ids), "false", 0, 0, NULL,
     "local mode registers sandbox::create and so on too: for an engine without a router"},
    {"default_provider", CONFIG_TEXT, offsetof(struct settings, default_provider), "local", 0, 0, NULL,
     "router mode: the provider of calls that name none"},
    {"drain_secs", CONFIG_NUMBER, offsetof(struct settings, drain_s), "30", 0, 3600, NULL,
     "seconds that calls have to end in after SIGTERM"},
};
/* clang-format on */

const struct config_table settings_table = {keys, COUNT_OF(keys)};

struct reading {
    struct settings *settings;
};

static int read_images(struct settings *s, const struct yaml_value *v, struct err *err)
{
    if (!v->is_list)
        return err_set(err, ERR_INVALID, "%s is a list: [a, b]", allowlist_key);
    for (size_t i = 0; i < v->count; i++) {
        char text[512];

        if (!str_to_c(v->items[i], text, sizeof(text)) || text[0] == '\0')
            return err_set(err, ERR_INVALID, "%s: a name that no image can have", allowlist_key);
        s->images[s->image_count++] = mem_text(text);
    }
    s->has_images = true;
    return 0;
}

static int on_key(void *ctx, struct str key, const struct yaml_value *v, struct err *err)
{
    const struct reading *r = ctx;

    if (str_is(key, allowlist_key))
        return read_images(r->settings, v, err);
    if (v->is_list)
        return err_set(err, ERR_INVALID, "%.*s takes one value", STR_ARG(key));
    return config_set(&settings_table, r->settings, key, v->items[0], err);
}

static bool is_word(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-' || *c == '_'))
            return false;
    return *text != '\0' && strlen(text) <= 64;
}

static bool is_domain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') ||
              *c == '-' || *c == '.'))
            return false;
    return strlen(text) <= ADDRESS_HOST_MAX / 2;
}

static int check(struct settings *s, struct err *err)
{
    if (address_parse(str_of(s->api_base_text), ADDRESS_HTTP, &s->api_base, err) != 0)
        return err_wrap(err, "api_base");
    s->has_sandbox_url = s->sandbox_url_text[0] != '\0' || !s->api_base.is_tls;
    s->sandbox_url = s->api_base;
    if (s->sandbox_url_text[0] != '\0' &&
        address_parse(str_of(s->sandbox_url_text), ADDRESS_HTTP, &s->sandbox_url, err) != 0)
        return err_wrap(err, "sandbox_url");
    if (!is_word(s->provider) || !is_word(s->default_provider))
        return err_set(err, ERR_INVALID,
                       "provider and default_provider are words of a-z, 0-9, '-' and '_'");
    if (!is_domain(s->domain))
        return err_set(err, ERR_INVALID, "domain '%.60s' is none", s->domain);
    if (s->exec_timeout_ms > s->exec_timeout_max_ms)
        return err_set(err, ERR_INVALID, "default_exec_timeout_ms is above max_exec_timeout_ms");
    if (s->api_key_env[0] == '\0' || strlen(s->api_key_env) > 128)
        return err_set(err, ERR_INVALID, "api_key_env names no variable");
    return 0;
}

int settings_read(struct settings *s, struct str text, struct err *err)
{
    struct reading r = {s};
    struct arena arena;
    int status;

    *s = (struct settings){0};
    if (config_defaults(&settings_table, s, err) != 0)
        return -1;
    arena_init(&arena, ARENA_MAX);
    status = yaml_read(text, &arena, on_key, &r, err);
    arena_done(&arena);
    return status != 0 ? -1 : check(s, err);
}

int settings_load(struct settings *s, const char *path, struct err *err)
{
    auto_fd int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    auto_free char *text = mem_zero(YAML_MAX + 1);
    size_t len = 0;
    ssize_t n = 1;

    if (path == NULL)
        return settings_read(s, (struct str){0}, err);
    if (fd < 0)
        return err_sys(err, errno, "open '%s'", path);
    while (n > 0 && len <= YAML_MAX) {
        n = read(fd, text + len, YAML_MAX + 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    if (n < 0)
        return err_sys(err, errno, "read '%s'", path);
    return settings_read(s, (struct str){text, len}, err) == 0 ? 0 : err_wrap(err, "'%s'", path);
}

void settings_done(struct settings *s)
{
    for (size_t i = 0; i < s->image_count; i++)
        free(s->images[i]);
    s->image_count = 0;
}

void settings_sample(struct buf *out)
{
    buf_printf(
        out, "# images that create may name; [] or nothing: any (in local mode: none)\n# %s: []\n",
        allowlist_key);
    for (size_t i = 0; i < COUNT_OF(keys); i++) {
        const struct config_key *k = &keys[i];
        bool is_text = k->type == CONFIG_TEXT;

        buf_printf(out, "\n# %s", k->help);
        if (k->type == CONFIG_CHOICE)
            buf_printf(out, " (%s)", k->choices);
        buf_printf(out, "\n# %s: %s%s%s\n", k->name, is_text ? "\"" : "", k->fallback,
                   is_text ? "\"" : "");
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Routing by head; see target.h. Called by edge.c for every request. */
#include "edge/target.h"

#include <arpa/inet.h>

enum {
    PRIVATE_NAME_MAX = 16, /* longer names are no private route */
};

static const char *const private_names[] = {
    "init", "prepare", "freeze", "unfreeze", "collapse", "fsfreeze", "fsthaw", "upgrade",
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void set_bad(struct target *out, const char *why)
{
    out->kind = TARGET_BAD;
    out->why = why;
}

/* Keeps the id (lower-cased when `may_fold`); a "-suffix" is dropped. */
static bool set_id(struct target *out, struct str text, bool may_fold)
{
    struct str rest;
    struct str id = str_cut(text, '-', &rest);

    if (id.len == 0 || id.len > TARGET_ID_MAX)
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.at[i];

        if (may_fold && c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (!is_digit(c) && !(c >= 'a' && c <= 'z'))
            return false;
        out->id[i] = c;
    }
    out->id[id.len] = '\0';
    out->id_len = (uint8_t)id.len;
    return true;
}

static bool set_port(struct target *out, struct str text)
{
    uint64_t port;

    if (!str_to_u64(text, &port) || port == 0 || port > UINT16_MAX)
        return false;
    out->port = (uint16_t)port;
    return true;
}

/* "8000-…": digits, then a dash. Nothing else claims to be a sandbox's name. */
static bool is_host_routed(struct str label)
{
    size_t digits = 0;

    while (digits < label.len && is_digit(label.at[digits]))
        digits++;
    return digits > 0 && digits < label.len && label.at[digits] == '-';
}

static void route_by_host(struct str host, struct target *out)
{
    struct str domain;
    struct str label = str_cut(host, '.', &domain);
    struct str id;
    struct str port = str_cut(label, '-', &id);

    out->kind = TARGET_SANDBOX;
    if (domain.len == 0)
        set_bad(out, "Invalid host");
    else if (!set_id(out, id, true))
        set_bad(out, "Invalid sandbox ID");
    else if (!set_port(out, port))
        set_bad(out, "Invalid sandbox port");
}

static bool is_ip_literal(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[sizeof(struct in6_addr)];

    if (host.len > 1 && host.at[0] == '[')
        return true; /* the head parser accepts brackets around addresses only */
    return str_to_c(host, text, sizeof text) && inet_pton(AF_INET, text, address) == 1;
}

/* sandbox.<domain> */
static bool is_sandbox_host(struct str host, struct str domain)
{
    struct str rest;
    struct str name = str_cut(domain, ':', &rest);
    struct str behind;
    struct str label = str_cut(host, '.', &behind);

    return name.len > 0 && str_ieq(label, STR("sandbox")) && str_ieq(behind, name);
}

static bool is_signed_file(const struct http_head *h)
{
    return str_is(h->path, "/files") && url_query(h->query, "signature").at != NULL;
}

static void route_by_headers(struct str id, struct str port, struct target *out)
{
    out->kind = TARGET_SANDBOX;
    if (id.at == NULL)
        set_bad(out, "Missing header: E2b-Sandbox-Id");
    else if (port.at == NULL)
        set_bad(out, "Missing header: E2b-Sandbox-Port");
    else if (!set_id(out, id, false))
        set_bad(out, "Invalid sandbox ID");
    else if (!set_port(out, port))
        set_bad(out, "Invalid sandbox port");
}

/* "/sandbox/<id>/<port>" and what follows. False: the path does not begin like that. */
static bool route_by_path(const struct http_head *h, struct target *out)
{
    static const char start[] = "/sandbox/";
    struct str rest = h->path;
    struct str id, port;

    if (!str_has_prefix(rest, start))
        return false;
    rest = str_from(rest, sizeof start - 1);
    id = str_cut(rest, '/', &rest);
    port = str_cut(rest, '/', &rest);
    out->kind = TARGET_SANDBOX;
    if (!set_id(out, id, false))
        set_bad(out, "Invalid sandbox ID");
    else if (!set_port(out, port))
        set_bad(out, "Invalid sandbox port");
    else
        out->prefix_len = (uint32_t)(port.at + port.len - h->path.at);
    return true;
}

static void route_by_head(const struct http_head *h, const struct target_rule *rule,
                          struct target *out)
{
    struct str host = h->host;
    struct str rest;
    struct str id, port;
    bool is_data_only, may_use_headers;

    if (host.len > 0 && host.at[host.len - 1] == '.')
        host.len--;
    if (is_host_routed(str_cut(host, '.', &rest))) {
        route_by_host(host, out);
        return;
    }
    is_data_only = is_sandbox_host(host, rule->domain);
    may_use_headers = rule->domain.len == 0 || is_data_only || str_ieq(host, STR("localhost")) ||
                      is_ip_literal(host);
    id = http_field(h, "E2b-Sandbox-Id");
    port = http_field(h, "E2b-Sandbox-Port");
    if (may_use_headers && (id.at != NULL || port.at != NULL))
        route_by_headers(id, port, out);
    else if (is_signed_file(h))
        out->kind = TARGET_SIGNED;
    else if (rule->has_paths && may_use_headers && route_by_path(h, out))
        return;
    else if (is_data_only)
        route_by_headers(id, port, out);
}

void target_of(const struct http_head *h, const struct target_rule *rule, struct target *out)
{
    *out = (struct target){.kind = TARGET_CONTROL};
    if (rule->plane == TARGET_CONTROL_ONLY)
        return;
    route_by_head(h, rule, out);
    if (rule->plane == TARGET_DATA_ONLY && out->kind == TARGET_CONTROL)
        set_bad(out, "Invalid host");
}

struct str target_behind(const struct target *t, struct arena *a, struct str target)
{
    struct str behind = str_from(target, t->prefix_len);

    if (t->prefix_len == 0 || (behind.len > 0 && behind.at[0] == '/'))
        return behind;
    return str_of(arena_printf(a, "/%.*s", STR_ARG(behind)));
}

/* The next byte of a path, percent-decoded; -1 at its end or at a broken escape. */
static int next_byte(struct str *in)
{
    char byte[3];
    size_t len = in->len > 0 && in->at[0] == '%' ? 3 : 1;

    if (in->len < len || url_decode((struct str){in->at, len}, false, byte) != 1)
        return -1;
    *in = str_from(*in, len);
    return (unsigned char)byte[0];
}

/* A path as a walk over its segments: how deep we are, and the name at depth one. */
struct walk {
    size_t depth;
    size_t len;     /* of the current segment; more than fits means "too long" */
    size_t top_len; /* of the segment at depth one */
    char part[PRIVATE_NAME_MAX];
    char top[PRIVATE_NAME_MAX];
};

static void end_segment(struct walk *w)
{
    struct str part = {w->part, w->len < sizeof w->part ? w->len : sizeof w->part};

    w->len = 0;
    if (part.len == 0 || str_is(part, "."))
        return;
    if (str_is(part, "..")) {
        w->depth -= w->depth > 0;
        return;
    }
    if (++w->depth == 1) {
        memcpy(w->top, part.at, part.len);
        w->top_len = part.len;
    }
}

bool target_is_private(uint16_t port, struct str path)
{
    struct walk w = {0};
    int byte;

    if (port != ENVD_PORT)
        return false;
    while ((byte = next_byte(&path)) >= 0) {
        if (byte == '/') {
            end_segment(&w);
            continue;
        }
        if (w.len < sizeof w.part)
            w.part[w.len] = (char)byte;
        w.len++;
    }
    end_segment(&w);
    for (size_t i = 0; w.depth == 1 && i < COUNT_OF(private_names); i++) {
        if (str_is((struct str){w.top, w.top_len}, private_names[i]))
            return true;
    }
    return false;
}

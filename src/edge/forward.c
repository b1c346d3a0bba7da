/* SPDX-License-Identifier: Apache-2.0 */
/* Field filters of the proxy; see forward.h. Called by proxy.c for each head. */
#include "edge/forward.h"

/* Host has a rule of its own; framing is ours on each hop; Expect was answered here; the last two
 * are how envd knows the server itself and api its clients: they must never come from outside. */
static const char *const never_in_requests[] = {
    "Host",      "Content-Length",    "Transfer-Encoding", "Expect", "Forwarded", "X-Forwarded-For",
    "X-Real-Ip", "X-Sandlot-Control", "X-Sandlot-Peer",
};

static bool is_dropped(struct str name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (str_ieq(name, str_of(names[i])))
            return true;
    }
    return false;
}

static bool is_forwarded_field(struct str name)
{
    static const struct str prefix = STR("X-Forwarded-");

    return name.len > prefix.len && str_ieq(str_upto(name, prefix.len), prefix);
}

static void put(struct forward_fields *out, struct str name, struct str value)
{
    out->at[out->count++] = (struct http_field){name, value};
}

/* Host first, whatever Connection says of it. */
static void put_host(const struct http_head *h, const struct forward_rule *rule, struct arena *a,
                     struct forward_fields *out)
{
    struct str host = http_field(h, "Host");
    char *text;

    if (host.at == NULL) {
        host = h->host.len > 0 ? h->host : STR("localhost");
        if (h->host_port > 0) {
            text = arena_printf(a, "%.*s:%u", STR_ARG(host), h->host_port);
            host = str_of(text);
        }
    }
    put(out, STR("Host"), rule->mask_host.len > 0 ? rule->mask_host : host);
    if (rule->mask_host.len > 0)
        put(out, STR("X-Forwarded-Host"), host);
}

void forward_request(const struct http_head *h, const struct forward_rule *rule, struct arena *a,
                     struct forward_fields *out)
{
    out->count = 0;
    put_host(h, rule, a, out);
    if (rule->peer.len > 0)
        put(out, STR("X-Sandlot-Peer"), rule->peer);
    if (rule->request_id.len > 0)
        put(out, STR("X-Request-Id"), rule->request_id);
    if (rule->is_secure && !rule->is_data_plane)
        put(out, STR("X-Forwarded-Proto"), STR("https"));
    for (size_t i = 0; i < h->field_count; i++) {
        struct str name = h->fields[i].name;

        if (http_is_hop_field(h, name) ||
            is_dropped(name, never_in_requests, COUNT_OF(never_in_requests)))
            continue;
        if (rule->is_data_plane && is_forwarded_field(name))
            continue;
        if (rule->request_id.len > 0 && str_ieq(name, STR("X-Request-Id")))
            continue;
        if (rule->is_secure && str_ieq(name, STR("X-Forwarded-Proto")))
            continue;
        put(out, name, h->fields[i].value);
    }
}

void forward_answer(const struct http_head *h, struct forward_fields *out)
{
    static const char *const framing[] = {"Content-Length", "Transfer-Encoding"};

    out->count = 0;
    for (size_t i = 0; i < h->field_count; i++) {
        struct str name = h->fields[i].name;

        if (!http_is_hop_field(h, name) && !is_dropped(name, framing, COUNT_OF(framing)))
            put(out, name, h->fields[i].value);
    }
    if (h->status == 101) /* a promise on both hops */
        put(out, STR("Upgrade"), http_field(h, "Upgrade"));
}

static bool may_be_trailer(struct str name)
{
    static const char *const never[] = {
        "Authorization", "Cookie",        "Set-Cookie",   "Trailer",
        "Connection",    "Keep-Alive",    "TE",           "Upgrade",
        "Range",         "Cache-Control", "Max-Forwards", "Location",
    };
    static const char *const prefixes[] = {"Content-",   "If-",  "Proxy-",   "X-Forwarded-",
                                           "X-Sandlot-", "E2b-", "X-Access-"};

    for (size_t i = 0; i < COUNT_OF(prefixes); i++) {
        struct str prefix = str_of(prefixes[i]);

        if (name.len >= prefix.len && str_ieq(str_upto(name, prefix.len), prefix))
            return false;
    }
    return !is_dropped(name, never, COUNT_OF(never)) &&
           !is_dropped(name, never_in_requests, COUNT_OF(never_in_requests));
}

void forward_trailers(struct str lines, struct buf *out)
{
    while (lines.len > 0) {
        struct str rest, line = str_cut(lines, '\n', &rest);

        line.len++; /* the parser let no line without its end pass */
        if (may_be_trailer(str_cut(line, ':', &(struct str){0})))
            buf_add_str(out, line);
        lines = rest;
    }
}

struct str forward_mask(struct arena *a, struct str mask, uint16_t port)
{
    static const struct str hole = STR("${PORT}");

    for (size_t i = 0; mask.len >= hole.len && i <= mask.len - hole.len; i++) {
        struct str rest = str_from(mask, i + hole.len);
        char *text;

        if (!str_eq(str_upto(str_from(mask, i), hole.len), hole))
            continue;
        text = arena_printf(a, "%.*s%u%.*s", (int)i, mask.at, port, STR_ARG(rest));
        return str_of(text);
    }
    return arena_str(a, mask);
}

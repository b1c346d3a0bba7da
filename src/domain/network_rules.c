/* SPDX-License-Identifier: Apache-2.0 */
/* See network_rules.h. Called by api/sandbox_network.c and sandbox_network.c. */
#include "domain/network_rules.h"

#include "base/host_name.h"
#include "ipc/placeholder.h"

enum {
    SHOWN_MAX = 64, /* bytes of what a client sent in a message */
};

/* A rule as clients write it. */
struct transform_body {
    struct codec_list headers;
};

struct rule_body {
    struct transform_body *transform;
    struct codec_list allow; /* of struct egress_request */
};

struct rules_body {
    struct codec_list rules; /* of struct rule_body */
};

/* clang-format off */
static const struct codec_field transform_fields[] = {
    {1, "headers", CODEC_MAP, 0, offsetof(struct transform_body, headers)},
};
static const struct codec_message transform_message =
    {"transform", sizeof(struct transform_body), transform_fields, COUNT_OF(transform_fields)};

static const struct codec_field request_fields[] = {
    {1, "methods", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_request, methods)},
    {2, "paths", CODEC_STRING, CODEC_REPEATED, offsetof(struct egress_request, paths)},
};
static const struct codec_message request_message =
    {"request", sizeof(struct egress_request), request_fields, COUNT_OF(request_fields)};

static const struct codec_field rule_fields[] = {
    {1, "transform", CODEC_MESSAGE, 0, offsetof(struct rule_body, transform), 0, &transform_message},
    {2, "allow", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct rule_body, allow), 0, &request_message},
};
static const struct codec_message rule_message =
    {"rule", sizeof(struct rule_body), rule_fields, COUNT_OF(rule_fields)};

static const struct codec_field rules_fields[] = {
    {1, "rules", CODEC_MESSAGE, CODEC_REPEATED, offsetof(struct rules_body, rules), 0, &rule_message},
};
static const struct codec_message rules_message =
    {"rules", sizeof(struct rules_body), rules_fields, COUNT_OF(rules_fields)};
/* clang-format on */

static bool is_nothing(struct str json)
{
    return json.len == 0 || str_is(str_trim(json), "null");
}

/* RFC 9110 5.6.2. */
static bool is_token(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];

        if (c <= ' ' || c >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", c) != NULL)
            return false;
    }
    return text.len > 0;
}

/* Those that frame a message, or say whose it is: a rule that changes them would make another
 * request of it. */
static bool is_ours(struct str name)
{
    static const char *const names[] = {
        "Host",       "Content-Length", "Transfer-Encoding",
        "Connection", "Upgrade",        "Trailer",
        "TE",         "Keep-Alive",     "Expect",
    };

    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (str_ieq(name, str_of(names[i])))
            return true;
    return str_ieq(str_upto(name, 6), STR("Proxy-"));
}

static int check_header(struct str domain, const struct codec_pair *h, struct err *err)
{
    struct str name = str_upto(h->key, SHOWN_MAX);
    const char *why = NULL;

    if (h->key.len > EGRESS_HEADER_NAME_MAX || !is_token(h->key))
        return err_set(err, ERR_INVALID,
                       "Header name \"%.*s\" in rule for domain \"%.*s\" is not valid",
                       STR_ARG(name), STR_ARG(domain));
    if (is_ours(h->key))
        return err_set(err, ERR_INVALID,
                       "Header name \"%.*s\" in rule for domain \"%.*s\" cannot be set",
                       STR_ARG(name), STR_ARG(domain));
    if (h->value.len > EGRESS_HEADER_VALUE_MAX)
        return err_set(
            err, ERR_INVALID,
            "Value for header \"%.*s\" in rule for domain \"%.*s\" is longer than %d bytes",
            STR_ARG(name), STR_ARG(domain), EGRESS_HEADER_VALUE_MAX);
    for (size_t i = 0; i < h->value.len; i++)
        if (((unsigned char)h->value.at[i] < ' ' && h->value.at[i] != '\t') ||
            h->value.at[i] == 0x7f)
            return err_set(
                err, ERR_INVALID,
                "Value for header \"%.*s\" in rule for domain \"%.*s\" has a control character",
                STR_ARG(name), STR_ARG(domain));
    if (!placeholder_check(h->value, &why))
        return err_set(err, ERR_INVALID,
                       "Value for header \"%.*s\" in rule for domain \"%.*s\" has %s",
                       STR_ARG(name), STR_ARG(domain), why);
    return 0;
}

static int check_headers(struct str domain, const struct codec_list *headers, struct err *err)
{
    const struct codec_pair *rows = headers->items;

    if (headers->count > EGRESS_HEADERS_MAX)
        return err_set(err, ERR_INVALID, "Rule domain \"%.*s\" can have at most %d headers",
                       STR_ARG(domain), EGRESS_HEADERS_MAX);
    for (size_t i = 0; i < headers->count; i++) {
        if (check_header(domain, &rows[i], err) != 0)
            return -1;
        for (size_t k = 0; k < i; k++)
            if (str_ieq(rows[i].key, rows[k].key))
                return err_set(err, ERR_INVALID,
                               "Header name \"%.*s\" in rule for domain \"%.*s\" is given twice",
                               STR_ARG(str_upto(rows[i].key, SHOWN_MAX)), STR_ARG(domain));
    }
    return 0;
}

static bool is_path(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.at[i] <= ' ' || text.at[i] >= 0x7f || strchr("?#%", text.at[i]) != NULL)
            return false;
    return text.len > 0 && text.len <= EGRESS_PATH_MAX && text.at[0] == '/';
}

static int check_request(const struct egress_request *r, struct err *err)
{
    const struct str *methods = r->methods.items, *paths = r->paths.items;

    if (r->methods.count > EGRESS_WORDS_MAX || r->paths.count > EGRESS_WORDS_MAX)
        return err_set(err, ERR_INVALID, "allow can have at most %d methods and %d paths",
                       EGRESS_WORDS_MAX, EGRESS_WORDS_MAX);
    for (size_t i = 0; i < r->methods.count; i++)
        if (!is_token(methods[i]) || methods[i].len > EGRESS_HEADER_NAME_MAX)
            return err_set(err, ERR_INVALID, "invalid method '%.*s' in network rules",
                           STR_ARG(str_upto(methods[i], SHOWN_MAX)));
    for (size_t i = 0; i < r->paths.count; i++)
        if (!is_path(paths[i]))
            return err_set(err, ERR_INVALID,
                           "invalid path '%.*s' in network rules: it begins with '/' and has "
                           "neither '?', '#' nor '%%'",
                           STR_ARG(str_upto(paths[i], SHOWN_MAX)));
    return 0;
}

static int read_pattern(struct str name, struct arena *a, struct str *out, struct err *err)
{
    char *to;

    if (name.len > RULE_PATTERN_MAX || str_is(name, "*") || !host_pattern_is_good(name))
        return err_set(err, ERR_INVALID, "Rule domain \"%.*s\" is not valid",
                       STR_ARG(str_upto(name, SHOWN_MAX)));
    *out = arena_str(a, name);
    to = (char *)(uintptr_t)out->at;
    for (size_t i = 0; to != NULL && i < name.len; i++)
        if (to[i] >= 'A' && to[i] <= 'Z')
            to[i] = (char)(to[i] | 0x20);
    return to != NULL ? 0 : err_set(err, ERR_LIMIT, "network rules are too large");
}

/* `member`: a pattern, and the list of its rules, of which there may be one. */
static int read_rule(const struct codec_pair *member, struct arena *a, struct egress_rule *out,
                     struct err *err)
{
    struct str name = str_upto(member->key, SHOWN_MAX);
    struct rules_body body = {0};
    const struct rule_body *rule;
    const struct egress_request *requests;
    char *json;

    if (read_pattern(member->key, a, &out->pattern, err) != 0)
        return -1;
    json = arena_printf(a, "{\"rules\":%.*s}", STR_ARG(member->value));
    if (json == NULL)
        return err_set(err, ERR_LIMIT, "network rules are too large");
    if (json_decode(&rules_message, str_of(json), a, &body, err) != 0)
        return err_wrap(err, "Rule domain \"%.*s\"", STR_ARG(name));
    if (body.rules.count > 1)
        return err_set(err, ERR_INVALID, "Rule domain \"%.*s\" can have at most one rule",
                       STR_ARG(name));
    if (body.rules.count == 0)
        return 0;
    rule = body.rules.items;
    if (rule->transform != NULL)
        out->headers = rule->transform->headers;
    out->allow = rule->allow;
    if (check_headers(name, &out->headers, err) != 0)
        return -1;
    if (out->allow.count > EGRESS_REQUESTS_MAX)
        return err_set(err, ERR_INVALID, "allow can have at most %d entries", EGRESS_REQUESTS_MAX);
    requests = out->allow.items;
    for (size_t i = 0; i < out->allow.count; i++)
        if (check_request(&requests[i], err) != 0)
            return -1;
    return 0;
}

static int check_all(const struct egress_rule *rules, size_t count, struct err *err)
{
    const struct codec_list list = {(void *)(uintptr_t)rules, count};
    struct str names[EGRESS_SECRETS_USED_MAX];

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            if (str_eq(rules[i].pattern, rules[k].pattern))
                return err_set(err, ERR_INVALID, "Rule domain \"%.*s\" is given twice",
                               STR_ARG(rules[i].pattern));
    if (network_rules_secrets(&list, names) > EGRESS_SECRETS_USED_MAX)
        return err_set(err, ERR_INVALID, "Network rules can use at most %d secrets.",
                       EGRESS_SECRETS_USED_MAX);
    return 0;
}

int network_rules_read(struct str json, struct arena *a, struct codec_list *out, struct err *err)
{
    struct codec_list members = {0};
    const struct codec_pair *pairs;
    struct egress_rule *rules;

    if (is_nothing(json)) {
        *out = (struct codec_list){0};
        return 0;
    }
    if (json_members(json, a, &members, err) != 0)
        return err_wrap(err, "network rules");
    if (members.count > EGRESS_RULES_MAX)
        return err_set(err, ERR_INVALID, "Network rules can have at most %d domains.",
                       EGRESS_RULES_MAX);
    rules = arena_array(a, members.count + 1, sizeof(*rules));
    if (rules == NULL)
        return err_set(err, ERR_LIMIT, "network rules are too large");
    pairs = members.items;
    for (size_t i = 0; i < members.count; i++)
        if (read_rule(&pairs[i], a, &rules[i], err) != 0)
            return -1;
    if (check_all(rules, members.count, err) != 0)
        return -1;
    *out = (struct codec_list){rules, members.count};
    return 0;
}

void network_rules_json(const struct codec_list *rules, struct buf *out)
{
    const struct egress_rule *rows = rules->items;

    buf_add_byte(out, '{');
    for (size_t i = 0; i < rules->count; i++) {
        struct transform_body transform = {rows[i].headers};
        struct rule_body body = {rows[i].headers.count > 0 ? &transform : NULL, rows[i].allow};

        if (i > 0)
            buf_add_byte(out, ',');
        json_quote(out, rows[i].pattern);
        buf_add_text(out, ":[");
        json_encode(&rule_message, &body, out);
        buf_add_byte(out, ']');
    }
    buf_add_byte(out, '}');
}

size_t network_rules_secrets(const struct codec_list *rules,
                             struct str out[EGRESS_SECRETS_USED_MAX])
{
    const struct egress_rule *rows = rules->items;
    size_t count = 0;

    for (size_t i = 0; i < rules->count; i++) {
        const struct codec_pair *headers = rows[i].headers.items;

        for (size_t k = 0; k < rows[i].headers.count; k++) {
            struct str rest = headers[k].value, name;

            while (placeholder_next(&rest, NULL, &name)) {
                bool is_known = false;

                for (size_t n = 0; n < count && n < EGRESS_SECRETS_USED_MAX; n++)
                    is_known |= str_ieq(out[n], name);
                if (is_known)
                    continue;
                if (count < EGRESS_SECRETS_USED_MAX)
                    out[count] = name;
                count++;
            }
        }
    }
    return count;
}

/* The proxy */

static bool is_host_and_port(struct str text)
{
    ssize_t colon = -1;
    uint64_t port;

    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] <= ' ' || (unsigned char)text.at[i] >= 0x7f ||
            strchr("/?#@", text.at[i]) != NULL)
            return false;
        if (text.at[i] == ':')
            colon = (ssize_t)i;
    }
    return colon > 0 && str_to_u64(str_from(text, (size_t)colon + 1), &port) && port > 0 &&
           port < 65536;
}

int network_proxy_read(struct str json, struct arena *a, struct egress_proxy **out, struct err *err)
{
    static const char *const schemes[] = {"socks5://", "http://"};
    struct egress_proxy *p;
    struct str place;

    *out = NULL;
    if (is_nothing(json))
        return 0;
    p = arena_alloc(a, sizeof(*p));
    if (p == NULL)
        return err_set(err, ERR_LIMIT, "egress proxy config is too large");
    if (json_decode(&egress_proxy_message, json, a, p, err) != 0)
        return err_wrap(err, "Invalid egress proxy config");
    place = p->address;
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (str_has_prefix(place, schemes[i]))
            place = str_from(place, strlen(schemes[i]));
    if (p->address.len > EGRESS_CREDENTIAL_MAX || !is_host_and_port(place))
        return err_set(err, ERR_INVALID,
                       "Invalid egress proxy config: address must be host:port of at most %d bytes",
                       EGRESS_CREDENTIAL_MAX);
    if (p->username.len > EGRESS_CREDENTIAL_MAX || p->password.len > EGRESS_CREDENTIAL_MAX)
        return err_set(err, ERR_INVALID,
                       "Invalid egress proxy config: username and password can have at most %d "
                       "bytes each",
                       EGRESS_CREDENTIAL_MAX);
    if (p->username.len == 0 && p->password.len > 0)
        return err_set(err, ERR_INVALID,
                       "Invalid egress proxy config: a password needs a username");
    *out = p;
    return 0;
}

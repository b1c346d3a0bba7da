/* SPDX-License-Identifier: Apache-2.0 */
/* The router: patterns are cut into segments once and tried in the order of how special they are.
 * With some hundred rows a scan over those of the same length beats anything cleverer. */
#include "http/router.h"

#include <assert.h>

enum { SEGMENTS_MAX = 12 };

struct pattern {
    struct str parts[SEGMENTS_MAX]; /* .at NULL: a parameter */
    size_t count;
    struct str method;
    size_t row;
};

struct router {
    size_t count;
    struct pattern patterns[];
};

/* Raw segments behind the first '/', or -1 when there are too many or there is no '/'. */
static int cut_path(struct str path, struct str *parts)
{
    struct str rest = str_from(path, 1);
    int count = 0;

    if (path.len == 0 || path.at[0] != '/')
        return -1;
    for (;;) {
        ssize_t slash = str_find(rest, '/');

        if (count == SEGMENTS_MAX)
            return -1;
        parts[count++] = slash < 0 ? rest : str_upto(rest, (size_t)slash);
        if (slash < 0)
            return count;
        rest = str_from(rest, (size_t)slash + 1);
    }
}

/* Shorter first; of equal length the one with the earlier literal. 0: the same paths. */
static int compare(const struct pattern *a, const struct pattern *b)
{
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (size_t i = 0; i < a->count; i++) {
        bool is_a = a->parts[i].at != NULL, is_b = b->parts[i].at != NULL;

        if (is_a != is_b)
            return is_a ? -1 : 1;
        if (is_a && !str_eq(a->parts[i], b->parts[i])) {
            size_t len = a->parts[i].len < b->parts[i].len ? a->parts[i].len : b->parts[i].len;
            int order = memcmp(a->parts[i].at, b->parts[i].at, len);

            return order != 0 ? order : a->parts[i].len < b->parts[i].len ? -1 : 1;
        }
    }
    return 0;
}

static void insert(struct router *r, const struct pattern *p)
{
    size_t at = r->count++;

    for (; at > 0; at--) {
        int order = compare(&r->patterns[at - 1], p);

        assert(order != 0 || !str_eq(r->patterns[at - 1].method, p->method));
        if (order <= 0)
            break;
        r->patterns[at] = r->patterns[at - 1];
    }
    /* equal paths stand side by side: look at all of them */
    for (size_t i = at; i > 0 && compare(&r->patterns[i - 1], p) == 0; i--)
        assert(!str_eq(r->patterns[i - 1].method, p->method));
    r->patterns[at] = *p;
}

static struct pattern compile(const struct route_key *key, size_t row)
{
    struct pattern p = {.method = str_of(key->method), .row = row};
    int count = cut_path(str_of(key->pattern), p.parts);
    size_t params = 0;

    assert(count > 0);
    p.count = (size_t)count;
    for (size_t i = 0; i < p.count; i++) {
        if (str_has_prefix(p.parts[i], ":")) {
            p.parts[i] = (struct str){NULL, 0};
            params++;
        }
    }
    assert(params <= ROUTE_PARAMS_MAX);
    return p;
}

struct router *router_new(const void *rows, size_t count, size_t stride)
{
    struct router *r = malloc(sizeof(*r) + count * sizeof(r->patterns[0]));

    assert(r != NULL); /* at the start of the program */
    r->count = 0;
    for (size_t i = 0; i < count; i++) {
        const void *row = (const char *)rows + i * stride;
        struct pattern p = compile(row, i);

        insert(r, &p);
    }
    return r;
}

void router_free(struct router *r)
{
    free(r);
}

/* Decode what is encoded: literals compare decoded, a "%2F" stays inside its segment. */
static int decode_parts(struct arena *a, struct str *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *text;
        ssize_t len;

        if (str_find(parts[i], '%') < 0)
            continue;
        text = arena_alloc(a, parts[i].len + 1);
        len = text == NULL ? -1 : url_decode(parts[i], false, text);
        if (len < 0)
            return -1;
        parts[i] = (struct str){text, (size_t)len};
    }
    return 0;
}

static bool fits(const struct pattern *p, const struct str *parts)
{
    for (size_t i = 0; i < p->count; i++) {
        if (p->parts[i].at == NULL ? parts[i].len == 0 : !str_eq(p->parts[i], parts[i]))
            return false;
    }
    return true;
}

static enum route_result take(const struct pattern *p, struct arena *a, const struct str *parts,
                              struct route_match *out)
{
    *out = (struct route_match){.row = p->row};
    for (size_t i = 0; i < p->count; i++) {
        if (p->parts[i].at != NULL)
            continue;
        out->params[out->param_count] = arena_str(a, parts[i]);
        if (out->params[out->param_count++].at == NULL)
            return ROUTE_MALFORMED;
    }
    return ROUTE_FOUND;
}

enum route_result router_find(const struct router *r, struct arena *a, struct str method,
                              struct str path, struct route_match *out)
{
    struct str parts[SEGMENTS_MAX];
    int count = cut_path(path, parts);
    const struct pattern *get = NULL;
    bool is_known = false, is_head = str_is(method, "HEAD");

    if (count < 0)
        return ROUTE_UNKNOWN;
    if (decode_parts(a, parts, (size_t)count) != 0)
        return ROUTE_MALFORMED;
    for (size_t i = 0; i < r->count; i++) {
        const struct pattern *p = &r->patterns[i];

        if (p->count != (size_t)count || !fits(p, parts))
            continue;
        is_known = true;
        if (str_eq(p->method, method))
            return take(p, a, parts, out);
        if (is_head && get == NULL && str_is(p->method, "GET"))
            get = p;
    }
    if (get != NULL)
        return take(get, a, parts, out);
    return is_known ? ROUTE_NOT_METHOD : ROUTE_UNKNOWN;
}
